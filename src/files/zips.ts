import type { Metadata } from '../metadata/metadata.ts'
import { ancestorsOf, joinPath, splitPath } from '../metadata/paths.ts'
import type { FileRecord, FolderRecord } from '../metadata/records.ts'
import { ifNot, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { fileName, getName } from './names.ts'
import { LOOKUP_BATCH, pagesBelow, partsOf } from './pages.ts'
import { zip, ZipLength, type ZipEntry } from './zip.ts'
import { ZipNames } from './zip-names.ts'

/** Files and folders in a zip. With so many, their list takes 30 MB of memory while the zip is sent. */
export const MAX_ZIP_ENTRIES = 100_000

/** Whose zip it is. `signal`: aborted when nobody waits for it any more. */
interface ZipRequest { readonly ownerId: number, readonly signal: AbortSignal }

/** A file or folder in a zip. A folder has no blob: both are empty. */
interface StoredEntry extends ZipEntry { readonly blobId: string, readonly sha256: string }

/** A folder of the zip, by its path there. */
interface ZipFolder { readonly path: string, readonly names: ZipNames }

/** A folder whose content is still to be added, by its id. */
interface OpenFolder { readonly id: number, readonly place: ZipFolder }

/** What was asked for by its name. */
type Named = { readonly file: FileRecord } | { readonly folder: FolderRecord }

/** A zip that is ready to be sent. */
export interface Zip {
  /** Its file name. */
  readonly name: string
  /** Bytes. */
  readonly length: number
  /** Its bytes. They fail if those of a file are gone or damaged. */
  readonly open: () => AsyncGenerator<Buffer, void, undefined>
}

export type Zips = ReturnType<typeof createZips>

/** Zips of files and folders. Every method takes the owner. */
export function createZips (
  { blobs, files, folders, metadata }: Pick<AppServices, 'blobs' | 'files' | 'folders' | 'metadata'>
) {
  async function get (ownerId: number, name: string): Promise<Named> {
    const file = await ifNot('not_found', files.get(ownerId, name))
    return file === undefined ? { folder: await folders.get(ownerId, name) } : { file }
  }

  async function find ({ ownerId, signal }: ZipRequest, names: readonly string[]): Promise<Named[]> {
    const found: Named[] = []
    for await (const some of partsOf(names, LOOKUP_BATCH)) {
      signal.throwIfAborted()
      found.push(...await Promise.all(some.map(name => get(ownerId, name))))
    }
    return found
  }

  function zipOf (folder: string, { list, length }: ZipEntries): Zip {
    return {
      name: `${splitPath(folder).name || 'files'}.zip`,
      length: length.bytes,
      open: () => zip(list, ({ blobId: id, size, sha256 }) => blobs.read({ id, size, sha256 }))
    }
  }

  return {
    /** A zip of all that is in a folder. The root has the id 0, and an empty path. @throws zip_too_large. */
    async ofFolder (request: ZipRequest, { id, path }: Pick<FolderRecord, 'id' | 'path'>): Promise<Zip> {
      const entries = new ZipEntries(metadata, request)
      await entries.addContent([{ id, place: top() }])
      return zipOf(path, entries)
    },

    /**
     * A zip of files and folders, with paths from the deepest folder that all of them are in. What is named twice, or
     * is in a folder that is named, is in it once.
     * @throws not_found if one is missing, zip_too_large.
     */
    async ofNames (request: ZipRequest, names: readonly string[]): Promise<Zip> {
      const requested: string[] = []
      for await (const some of partsOf(names, LOOKUP_BATCH)) {
        requested.push(...some.map(name => getName(name, fileName)))
      }
      const found = await find(request, [...new Set(requested)].sort())
      const named = new Set(found.flatMap(each => 'folder' in each ? [each.folder.path] : []))
      const base = commonFolder(found.map(pathOf))
      const entries = new ZipEntries(metadata, request)
      const places = new Map([[base, top()]])
      const open: OpenFolder[] = []
      for await (const some of partsOf(found, LOOKUP_BATCH)) {
        for (const each of some) {
          if (ancestorsOf(pathOf(each)).some(folder => named.has(folder))) continue
          const place = placeOf(splitPath(pathOf(each)).folder, places)
          if ('file' in each) entries.addFile(each.file, place)
          else open.push(entries.addFolder(each.folder, place))
        }
      }
      await entries.addContent(open)
      return zipOf(base, entries)
    }
  }
}

/** Collects the entries of a zip. */
class ZipEntries {
  readonly list: StoredEntry[] = []
  readonly length = new ZipLength()
  readonly #metadata: Metadata
  readonly #request: ZipRequest

  constructor (metadata: Metadata, request: ZipRequest) {
    this.#metadata = metadata
    this.#request = request
  }

  addFile ({ name, size, blobId, sha256, updatedAt, modifiedAt }: FileRecord, place: ZipFolder): void {
    const zipName = place.names.add(splitPath(name).name)
    this.#add({ folder: place.path, name: zipName, size, modifiedAt: modifiedAt ?? updatedAt, blobId, sha256 })
  }

  /** Adds a folder without its content. */
  addFolder ({ id, path, createdAt }: FolderRecord, place: ZipFolder): OpenFolder {
    const name = `${place.names.add(splitPath(path).name)}/`
    this.#add({ folder: place.path, name, size: 0, modifiedAt: createdAt, blobId: '', sha256: '' })
    return { id, place: { path: place.path + name, names: new ZipNames() } }
  }

  /** Adds all that is in folders. */
  async addContent (open: readonly OpenFolder[]): Promise<void> {
    const places = new Map(open.map(({ id, place }) => [id, place]))
    for await (const page of pagesBelow(this.#metadata, this.#request.ownerId, Array.from(places.keys()))) {
      if ('files' in page) for (const file of page.files) this.addFile(file, places.get(file.folderId) as ZipFolder)
      else {
        for (const folder of page.folders) {
          const { id, place } = this.addFolder(folder, places.get(folder.parentId) as ZipFolder)
          places.set(id, place)
        }
      }
    }
  }

  #add (entry: StoredEntry): void {
    this.#request.signal.throwIfAborted()
    if (this.list.length === MAX_ZIP_ENTRIES) {
      throw new Problem('zip_too_large', { detail: `A zip has at most ${MAX_ZIP_ENTRIES} files and folders.` })
    }
    this.list.push(entry)
    this.length.add(entry)
  }
}

function top (): ZipFolder {
  return { path: '', names: new ZipNames() }
}

/** The place for what is in a folder. `places` has that of one of the folders that it is in, and gets the others. */
function placeOf (folder: string, places: Map<string, ZipFolder>): ZipFolder {
  const known = places.get(folder)
  if (known !== undefined) return known
  const { folder: parent, name } = splitPath(folder)
  const { path, names } = placeOf(parent, places)
  const place = { path: `${path}${names.add(name)}/`, names: new ZipNames() }
  places.set(folder, place)
  return place
}

function pathOf (named: Named): string {
  return 'file' in named ? named.file.name : named.folder.path
}

/** The deepest folder that all of these are in. They are sorted: what the first and the last share, all do. */
export function commonFolder (sorted: readonly string[]): string {
  const [one, other] = [sorted[0], sorted.at(-1)].map(path => splitPath(path as string).folder)
  return commonPath(one as string, other as string)
}

function commonPath (one: string, other: string): string {
  const segments = other.split('/')
  const own = one.split('/')
  const end = own.findIndex((segment, index) => segment !== segments[index])
  return own.slice(0, end === -1 ? own.length : end).reduce(joinPath, '')
}
