import { bodyOf, type MagicStore } from 'magicstore'
import { statusOf } from './errors.ts'
import { MAX_PAGE_ENTRIES, type PageQuery } from './pages.ts'
import { call } from './session.ts'

type Api = MagicStore['api']

interface Answer<Body> { data?: Body, error?: unknown, response: Response }

/** Sends one request as the signed-in user. Resolves to the body of the response. @throws what `call` throws. */
export function request<Body> (send: (api: Api) => Promise<Answer<Body>>): Promise<Body> {
  return call(async ({ api }) => bodyOf(await send(api)))
}

/** Loads all pages of a list, which responses call `name`. @throws what `call` throws. */
export async function loadAll<Name extends string, Entry> (
  name: Name, send: (api: Api, query: PageQuery) => Promise<Answer<Record<Name, Entry[]> & { next: string | null }>>
): Promise<Entry[]> {
  const all: Entry[] = []
  let query: PageQuery = { limit: MAX_PAGE_ENTRIES }
  for (;;) {
    const { [name]: entries, next } = await request(api => send(api, query))
    all.push(...entries)
    if (next === null) return all
    query = { ...query, cursor: next }
  }
}

/** For requests that end or delete something: it may be gone already. @throws the error unless it is a 404. */
export function ignoreMissing (error: unknown): void {
  if (statusOf(error) !== 404) throw error
}
