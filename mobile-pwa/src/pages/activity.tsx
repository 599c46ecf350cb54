export function Activity() { return <main class="page" id="main" />; }
