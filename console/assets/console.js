import { initAll } from '/design/govuk-frontend.min.js'

initAll()

/** Shows what is new; an element that is the same but for what is in it stays, with its focus and how far it is scrolled. */
const renew = (place, news) => {
  const pairs = [...place.children].map((one, i) => [one, news.children[i]])
  const alike = ([one, other]) => other?.cloneNode(false).isEqualNode(one.cloneNode(false))
  if (pairs.length !== news.children.length || !pairs.every(alike)) return place.replaceChildren(...news.childNodes)
  for (const [one, other] of pairs) one.replaceChildren(...other.childNodes)
}

const asked = async (url) => {
  const answer = document.hidden ? null : await fetch(url).catch(() => null)
  if (answer?.status === 401 || answer?.redirected) return location.reload()
  return answer?.ok ? new DOMParser().parseFromString(await answer.text(), 'text/html') : null
}

/** Every two seconds, as long as `look` says so. */
const again = (look) => setTimeout(async () => (await look()) && again(look), 2000)

// the first page keeps itself up to date
const now = document.querySelector('[data-refresh]')
if (now !== null) {
  again(async () => {
    const page = await asked(now.dataset.refresh)
    if (page) renew(now, page.body)
    return true
  })
}

// a page whose work is running looks until it is done
const running = () => document.querySelector('[data-reload]') !== null
if (running()) {
  again(async () => {
    const page = await asked(location.href)
    if (page) renew(document.querySelector('main'), page.querySelector('main'))
    return running()
  })
}
