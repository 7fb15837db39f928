import { computed, signal } from '@preact/signals'
import { throttled } from '../files/throttle.ts'
import { MAX_PAGE_ENTRIES } from '../pages.ts'
import { ignoreMissing, loadAll, request } from '../requests.ts'
import { hasLinks } from '../settings.ts'

const loadAllLinks = () => loadAll('links', (api, query) => api.GET('/api/links', { params: { query } }))

export type Link = Awaited<ReturnType<typeof loadAllLinks>>[number]

/** A link with its address, as it was just made. */
export type CreatedLink = Awaited<ReturnType<typeof replaceSecret>>

export type LinkKind = Link['kind']

/** What the owner may change. The limits are those of a request for files. */
export interface LinkTerms {
  expiresAt?: string | null
  /** Null for none. */
  password?: string | null
  maxFiles?: number
  maxBytes?: number
  showsOwner?: boolean
}

/** The links of the account, newest first; undefined until they are loaded. There are at most 1,000. */
export const links = signal<readonly Link[] | undefined>(undefined)

/** The paths of files and folders with a link that can be used. */
export const linkedNames = computed(() => {
  const open = (links.value ?? []).filter(link => !isOver(link))
  return new Set(open.map(({ name }) => name))
})

/** Asks for the links again. If this fails, the marks at files stay as they are. */
export const refreshLinks = throttled(() => { if (hasLinks) loadLinks().catch(() => {}) })

/** @throws what `call` throws. */
export async function loadLinks (): Promise<void> {
  links.value = await loadAllLinks()
}

/** Whether a link has expired, or accepts no more files. */
export function isOver ({ expiresAt, maxFiles, usedFiles }: Link): boolean {
  return isExpired({ expiresAt }) || (maxFiles !== null && usedFiles >= maxFiles)
}

export function isExpired ({ expiresAt }: Pick<Link, 'expiresAt'>): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= Date.now()
}

/** The newest link of a file or folder that can be used; undefined if there is none. @throws what `call` throws. */
export async function findLink (name: string, kind: LinkKind): Promise<Link | undefined> {
  const query = { name, limit: MAX_PAGE_ENTRIES }
  const { links: entries } = await request(api => api.GET('/api/links', { params: { query } }))
  return entries.find(link => link.kind === kind && !isOver(link))
}

/** Creates a link. @throws what `call` throws. */
export async function createLink (name: string, kind: LinkKind, terms: LinkTerms): Promise<CreatedLink> {
  const created = await request(api => api.POST('/api/links', { body: { name, kind, showsOwner: true, ...terms } }))
  const { url: _url, ...link } = created
  show(link)
  return created
}

/** @throws what `call` throws. */
export async function changeLink ({ id }: Link, terms: LinkTerms): Promise<Link> {
  const params = { path: { id } }
  const changed = await request(api => api.PATCH('/api/links/{id}', { params, body: terms }))
  show(changed)
  return changed
}

/** Gives a link another address; the earlier one ends. @throws what `call` throws. */
export function replaceSecret ({ id }: Link) {
  return request(api => api.POST('/api/links/{id}/secret', { params: { path: { id } } }))
}

/** Ends a link. It may have ended already. @throws what `call` throws. */
export async function revokeLink ({ id }: Link): Promise<void> {
  await request(api => api.DELETE('/api/links/{id}', { params: { path: { id } } })).catch(ignoreMissing)
  links.value = links.peek()?.filter(link => link.id !== id)
}

/** Ends all links. @throws what `call` throws. */
export async function revokeAllLinks (): Promise<void> {
  await request(api => api.DELETE('/api/links'))
  links.value = []
}

/**
 * The whole address of a link. The server tells only its path, if it does not know its own address.
 * @throws MagicStoreError `link_address_unknown`, and what `call` throws.
 */
export async function addressOf (link: Link | CreatedLink): Promise<string> {
  const { id } = link
  const { url } = 'url' in link
    ? link
    : await request(api => api.GET('/api/links/{id}/secret', { params: { path: { id } } }))
  return new URL(url, location.href).href
}

/** Shows a link as it is now, in its place or as the newest. */
function show (link: Link): void {
  const all = links.peek() ?? []
  const isKnown = all.some(({ id }) => id === link.id)
  links.value = isKnown ? all.map(other => other.id === link.id ? link : other) : [link, ...all]
}
