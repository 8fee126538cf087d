import { initAll } from '/design/govuk-frontend.min.js'

initAll()

// The first page keeps itself up to date; a page whose work is running looks again until it is done.
const now = document.querySelector('[data-refresh]')
if (now !== null) {
  const look = async () => {
    const answer = document.hidden ? null : await fetch(now.dataset.refresh).catch(() => null)
    if (answer?.status === 401) return location.reload()
    if (answer?.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
      now.replaceChildren(...page.body.childNodes)
    }
    setTimeout(look, 2000)
  }
  setTimeout(look, 2000)
}
if (document.querySelector('[data-reload]') !== null) setTimeout(() => location.reload(), 2000)
