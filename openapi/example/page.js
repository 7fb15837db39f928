/** The page of the album: it gets addresses from its own server, and sends and gets the bytes at the store. */

/** How often it looks for a photo that is under way. */
const LOOK_MILLISECONDS = 500

/** What the store refuses, for people. Anything else is shown by its code. @type {Record<string, string>} */
const WORDS = {
  digest_mismatch: 'The photo was changed on its way. Please try again.',
  link_limit_reached: 'The photo is larger than was said.',
  not_found: 'The time for this upload is over, or it was made already.',
  quota_exceeded: 'The album is full.'
}

const user = /** @type {HTMLSelectElement} */ (document.getElementById('user'))
const chooser = /** @type {HTMLInputElement} */ (document.getElementById('file'))
const status = /** @type {HTMLElement} */ (document.getElementById('status'))
const list = /** @type {HTMLElement} */ (document.getElementById('photos'))

/** @param {Response} response */
async function successOf (response) {
  if (response.ok) return response
  const { code } = await response.json().catch(() => ({ code: `status ${response.status}` }))
  throw new Error(WORDS[code] ?? `That did not work: ${code}`)
}

/**
 * Asks the server of the album.
 * @param {string} method @param {string} path @param {object} [body]
 */
async function ask (method, path, body) {
  const response = await fetch(path, {
    method, headers: { 'x-user': user.value }, ...(body && { body: JSON.stringify(body) })
  })
  return (await successOf(response)).json()
}

/** SHA-256 in hex. Browsers have `crypto.subtle` only on pages with HTTPS, or of this computer. @param {Blob} file */
async function sha256Of (file) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()))
  return Array.from(digest, byte => byte.toString(16).padStart(2, '0')).join('')
}

/** @param {File} file */
async function upload (file) {
  const { url } = await ask('POST', 'uploads', {
    title: file.name, bytes: file.size, sha256: await sha256Of(file)
  })
  await successOf(await fetch(url, { method: 'PUT', body: file }))
}

/** @param {string} id */
async function download (id) {
  const { url } = await ask('POST', 'downloads', { id })
  const response = await successOf(await fetch(url))
  return response.blob()
}

/** @param {{ id: string, title: string, isThere: boolean }} photo */
function itemOf ({ id, title, isThere }) {
  const item = document.createElement('li')
  item.append(`${title} `)
  if (!isThere) {
    item.append('(on its way)')
    return item
  }
  const button = document.createElement('button')
  button.textContent = 'Show'
  button.setAttribute('aria-label', `Show ${title}`)
  button.addEventListener('click', () => telling(async () => {
    const image = document.createElement('img')
    image.alt = title
    image.src = URL.createObjectURL(await download(id))
    await image.decode().finally(() => URL.revokeObjectURL(image.src))
    button.replaceWith(image)
  }))
  item.append(button)
  return item
}

/** The photos that are shown, as JSON, so that one that is open stays. */
let shown = ''

/** @type {ReturnType<typeof setTimeout> | undefined} */
let nextLook

/** Shows the photos of the user, and looks again while some are under way. */
async function show () {
  const asked = user.value
  const photos = await ask('GET', 'photos')
  if (asked !== user.value) return
  const text = JSON.stringify([asked, photos])
  if (text !== shown) list.replaceChildren(...photos.map(itemOf))
  shown = text
  clearTimeout(nextLook)
  const isWaiting = photos.some((/** @type {{ isThere: boolean }} */ { isThere }) => !isThere)
  if (isWaiting) nextLook = setTimeout(() => telling(show), LOOK_MILLISECONDS)
}

/** Does something, and says what went wrong. @param {() => Promise<void>} act */
async function telling (act) {
  try {
    await act()
  } catch (error) {
    // After a lost connection the photo may be there all the same: then the feed says so, and the list has it.
    const isLost = error instanceof TypeError
    const refusal = error instanceof Error ? error.message : String(error)
    status.textContent = isLost ? 'The connection was lost. Look below whether the photo arrived.' : refusal
  }
}

user.addEventListener('change', () => telling(show))
chooser.addEventListener('change', () => telling(async () => {
  const [file] = chooser.files ?? []
  if (file === undefined) return
  status.textContent = 'Sending…'
  await upload(file).finally(show)
  status.textContent = 'Sent.'
  chooser.value = ''
}))

void telling(show)
