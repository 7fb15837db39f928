import { signal } from '@preact/signals'
import { MagicStoreError } from 'magicstore'
import { statusOf } from '../errors.ts'
import { kindOf } from '../files/kinds.ts'
import { throttled } from '../files/throttle.ts'
import { encodedPath } from '../paths.ts'

/** A link, as the server describes it to visitors. */
export interface SharedLink {
  readonly kind: 'download' | 'upload'
  /** The last segment of the path of the file or folder. */
  readonly name: string
  readonly isFolder: boolean
  /** Null for a folder. */
  readonly size: number | null
  readonly type: string | null
  readonly expiresAt: string | null
  /** The username of the owner; absent if the owner hides it. */
  readonly owner?: string
  /** The name that the file must have, of a link for one upload. */
  readonly fileName?: string
  /** What an `upload` link has room for; null for the other kind. */
  readonly accepts: { readonly files: number, readonly bytes: number } | null
}

/** `dead`: the link does not exist or has ended. `locked`: the server wants its password first. */
type Visit =
  | { readonly kind: 'loading' | 'dead' | 'locked' }
  | { readonly kind: 'unreachable', readonly error: unknown }
  | { readonly kind: 'open', readonly link: SharedLink }

/** What the visitor sees. */
export const visit = signal<Visit>({ kind: 'loading' })

/** The only name that a link for one upload accepts. */
export function onlyName (): string | undefined {
  const seen = visit.peek()
  return seen.kind === 'open' ? seen.link.fileName : undefined
}

/** The address of the link, without a query and a fragment. */
export const linkAddress = new URL(location.pathname, location.href).href.replace(/\/$/, '')

/** A file of the link, as far as a preview needs it. */
export interface ShownFile { readonly name: string, readonly type: string, readonly size: number }

/** Whether the page can show a file in this browser. */
export function canShow (file: ShownFile): boolean {
  const kind = kindOf(file)
  return kind === 'pdf' ? navigator.pdfViewerEnabled : kind !== 'other'
}

/** The path of the bytes of a file, for `ask`. A file below a linked folder has a path, a linked file its name. */
export function bytesPath (name: string): string {
  return `/files/${encodedPath(name)}`
}

/** The address of the bytes of a file. */
export function bytesAddress (name: string): string {
  return `${linkAddress}${bytesPath(name)}`
}

/** Sends a request about the link. @throws MagicStoreError if the server refuses, TypeError if it can't be reached. */
export async function ask (path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { accept: 'application/json', ...init.headers }
  const response = await fetch(`${linkAddress}${path}`, { ...init, headers })
  if (!response.ok) throw await refusalOf(response)
  return response
}

/** The refusal in a response. */
export async function refusalOf (response: Response): Promise<MagicStoreError> {
  const body: unknown = await response.json().catch(() => undefined)
  return new MagicStoreError(response.status, body, response.headers)
}

/** Asks the server what the link is: it can have ended, or be locked again. */
export async function refreshVisit (): Promise<void> {
  try {
    const link = await (await ask('')).json() as SharedLink | { needsPassword: true }
    visit.value = 'kind' in link ? { kind: 'open', link } : { kind: 'locked' }
  } catch (error) {
    if (statusOf(error) === 404) visit.value = { kind: 'dead' }
    // What is shown stays while the network is down.
    else if (visit.peek().kind !== 'open') visit.value = { kind: 'unreachable', error }
  }
}

/** Asks again after a file was sent, at most once in two seconds: there is less room. */
export const refreshRoom = throttled(() => { void refreshVisit() })

/** Unlocks the link for this browser. @throws what `ask` throws. */
export async function unlock (password: string): Promise<void> {
  await ask('/unlock', {
    method: 'POST', body: JSON.stringify({ password }), headers: { 'content-type': 'application/json' }
  })
  await refreshVisit()
}

/** Asks what the link is after an error that can mean that it has ended or is locked. */
export function followRefusal (error: unknown): void {
  if ([403, 404].includes(statusOf(error) ?? 0)) void refreshVisit()
}
