// Asks for a ticket where the login is, and takes it to the preview's own origin.
'use strict'
const asked = new URLSearchParams(location.search)
const said = document.getElementById('said')

const open = async () => {
    const agent = encodeURIComponent(asked.get('agent') ?? '')
    const answer = await fetch(`/v1/agents/${agent}/previews`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-wsm': '1' },
        body: JSON.stringify({ port: asked.get('port') ?? '', path: asked.get('to') ?? '/' }),
    })
    const told = await answer.json()
    if (!answer.ok) throw new Error(answer.status === 401 ? 'Log in first, then open it again.' : told.message)
    location.replace(told.url)
}

open().catch(error => {
    said.textContent = error.message
    document.getElementById('way').hidden = false
})
