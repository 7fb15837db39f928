import type { Client } from '../kit/server.ts'

interface File { readonly name: string, readonly url: string, readonly [field: string]: unknown }

interface Change { readonly kind: string, readonly name: string, readonly from?: string, readonly file?: File }

/** What an account has: its folders, and its files as the API describes them, but for their URLs. */
export interface Tree { readonly folders: string[], readonly files: Record<string, unknown>[] }

/** Everything that the listings say. */
export async function listTree (client: Client, token: string): Promise<Tree> {
  const files: File[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { json } = await client.send('GET', `/api/files?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`, { token })
    files.push(...json.files)
    cursor = json.next
  }
  const below = async (folder: string): Promise<string[]> => {
    const { json } = await client.send('GET', `/api/folders?limit=1000&folder=${encodeURIComponent(folder)}`, { token })
    const names: string[] = json.folders.map(({ name }: File) => name)
    return [...names, ...(await Promise.all(names.map(below))).flat()]
  }
  return treeOf(files, await below(''))
}

function treeOf (files: readonly File[], folders: string[]): Tree {
  const described = files.map(({ url: _url, ...file }) => file)
  return { folders: folders.sort(), files: described.sort((a, b) => String(a.name) < String(b.name) ? -1 : 1) }
}

/** A copy of the tree of an account that only the feed of changes keeps up to date. */
export class Mirror {
  readonly #client: Client
  readonly #token: string
  readonly #folders = new Set<string>()
  readonly #files = new Map<string, File | undefined>()
  #cursor = ''
  /** Changes that do not fit what was before. */
  readonly faults: string[] = []
  changes = 0

  constructor (client: Client, token: string) {
    this.#client = client
    this.#token = token
  }

  /** Begins with an account that has nothing. */
  async begin (): Promise<void> {
    this.#cursor = (await this.#client.send('GET', '/api/changes', { token: this.#token })).json.next
  }

  /** Repeats the changes of one answer. Returns their number. */
  async follow (query: string): Promise<number> {
    const { json } = await this.#client.send('GET', `/api/changes?${query}&cursor=${this.#cursor}`, { token: this.#token })
    if (json.reset !== false) this.faults.push(`reset: ${JSON.stringify(json)}`)
    for (const change of json.changes) this.#repeat(change)
    this.#cursor = json.next
    this.changes += json.changes.length
    return json.changes.length
  }

  tree (): Tree {
    const files = Array.from(this.#files, ([name, file]) => ({ ...file, name, url: '' }))
    return treeOf(files, Array.from(this.#folders))
  }

  #repeat ({ kind, name, from = '', file }: Change): void {
    const expect = (isRight: boolean) => { if (!isRight) this.faults.push(`${kind} ${from} ${name}`) }
    const isFree = !this.#files.has(name) && !this.#folders.has(name)
    const parent = name.slice(0, Math.max(name.lastIndexOf('/'), 0))
    if (!kind.endsWith('deleted')) expect(parent === '' || this.#folders.has(parent))
    switch (kind) {
      case 'stored':
        expect(!this.#folders.has(name))
        this.#files.set(name, file)
        break
      case 'moved':
        expect(isFree && this.#files.delete(from))
        this.#files.set(name, file)
        break
      case 'deleted':
        expect(this.#files.delete(name))
        break
      case 'folder_made':
        expect(isFree)
        this.#folders.add(name)
        break
      case 'folder_moved':
        expect(isFree && this.#folders.has(from))
        this.#moveAll(from, name)
        break
      default:
        expect(this.#folders.delete(name) && !this.#namesBelow(name).length)
    }
  }

  #namesBelow (folder: string): string[] {
    return [...this.#folders, ...this.#files.keys()].filter(name => name.startsWith(`${folder}/`))
  }

  #moveAll (from: string, to: string): void {
    for (const name of [from, ...this.#namesBelow(from)]) {
      const moved = to + name.slice(from.length)
      if (this.#folders.delete(name)) this.#folders.add(moved)
      else {
        this.#files.set(moved, this.#files.get(name))
        this.#files.delete(name)
      }
    }
  }
}
