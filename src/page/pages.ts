/** A page of a list of the API. */
export interface Page<Entry> { readonly entries: readonly Entry[], readonly next: string | null }

/** Which page to load; the first one without `cursor`. */
export interface PageQuery { readonly cursor?: string, readonly limit: number }

/** The largest page of the API. */
export const MAX_PAGE_ENTRIES = 1000

/** Loads a whole list. */
export async function loadAll<Entry> (load: (query: PageQuery) => Promise<Page<Entry>>): Promise<Entry[]> {
  const all: Entry[] = []
  let cursor: { cursor?: string } = {}
  for (;;) {
    const { entries, next } = await load({ limit: MAX_PAGE_ENTRIES, ...cursor })
    all.push(...entries)
    if (next === null) return all
    cursor = { cursor: next }
  }
}
