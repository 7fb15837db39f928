/** A page of a list of the API. */
export interface Page<Entry> { readonly entries: readonly Entry[], readonly next: string | null }

/** Which page to load; the first one without `cursor`. */
export interface PageQuery { readonly cursor?: string, readonly limit: number }

/** The largest page of the API. */
export const MAX_PAGE_ENTRIES = 1000
