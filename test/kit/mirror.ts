/** A file or folder of the API. */
interface Entry { readonly id: string, readonly name: string, readonly [field: string]: unknown }

interface Change { readonly id: string, readonly file?: Entry, readonly folder?: Entry }

/** Asks a server, as one account. Returns the body. */
export type Get = (path: string) => Promise<any>

/** What an account has: its folders, and its files as the API describes them, but for their URLs. */
export interface Tree { readonly folders: string[], readonly files: Record<string, unknown>[] }

/** Everything that the listings say. */
export async function listTree (get: Get): Promise<Tree> {
  const below = async (folder: string): Promise<Entry[]> => {
    const { folders }: { folders: Entry[] } = await get(`/api/folders?limit=1000&folder=${encodeURIComponent(folder)}`)
    return [...folders, ...(await Promise.all(folders.map(({ name }) => below(name)))).flat()]
  }
  return treeOf(await listAll(get, 'files', 1000), await below(''))
}

async function listAll (get: Get, kind: 'files' | 'folders', limit: number): Promise<Entry[]> {
  const entries: Entry[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page = await get(`/api/${kind}?limit=${limit}${kind === 'folders' ? '&all=true' : ''}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    entries.push(...page[kind])
    cursor = page.next
  }
  return entries
}

function treeOf (files: readonly Entry[], folders: readonly Entry[]): Tree {
  const described = files.map(({ url: _url, ...file }) => file)
  const byName = (a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : 1
  return { folders: folders.map(({ name }) => name).sort(), files: described.sort(byName) }
}

/** A copy of the tree of an account, listed at any time, that follows the changes as the document says. */
export class Mirror {
  readonly #get: Get
  readonly #limit: number
  readonly #entries = new Map<string, Entry>()
  #cursor = ''
  changes = 0
  /** Responses that said that changes are missing. */
  resets = 0

  /** `limit`: how many entries a page has. */
  constructor (get: Get, limit = 1000) {
    this.#get = get
    this.#limit = limit
  }

  async begin (): Promise<void> {
    this.#cursor = (await this.#get('/api/changes')).next
    for (const kind of ['folders', 'files'] as const) {
      for (const entry of await listAll(this.#get, kind, this.#limit)) this.#entries.set(entry.id, entry)
    }
  }

  /** Takes the changes of one answer over. Returns their number. */
  async follow (query: string): Promise<number> {
    const { changes, next, reset } = await this.#get(`/api/changes?${query}&cursor=${this.#cursor}`)
    if (reset === true) this.resets++
    for (const { id, file, folder } of changes as Change[]) {
      const entry = file ?? folder
      if (entry === undefined) this.#entries.delete(id)
      else this.#entries.set(id, entry)
    }
    this.#cursor = next
    this.changes += changes.length
    return changes.length
  }

  tree (): Tree {
    const entries = Array.from(this.#entries.values(), entry => ({ ...entry, name: this.#pathOf(entry) }))
    return treeOf(entries.filter(entry => 'folderId' in entry), entries.filter(entry => 'parentId' in entry))
  }

  /** By the parents: `name` may be of before the move of one of them. */
  #pathOf ({ name, folderId, parentId }: Entry): string {
    const parent = (folderId ?? parentId ?? null) as string | null
    const last = name.slice(name.lastIndexOf('/') + 1)
    if (parent === null) return last
    const folder = this.#entries.get(parent)
    return `${folder === undefined ? `nowhere (${parent})` : this.#pathOf(folder)}/${last}`
  }
}
