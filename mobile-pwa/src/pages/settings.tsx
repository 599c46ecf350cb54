export function SettingsPage() { return <main class="page" id="main" />; }
