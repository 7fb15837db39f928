import { appendFileSync } from 'node:fs'
import { open, rm, utimes } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { makeFolder, sync, writeNew } from '../data-folder/durable-files.ts'
import { PAGE, pagesBelow, pagesOf } from '../files/pages.ts'
import { ZipNames } from '../files/zip-names.ts'
import { splitPath } from '../metadata/paths.ts'
import type { AccountRecord, FileRecord, FolderRecord } from '../metadata/records.ts'
import type { TrashRecord, VersionRecord } from '../metadata/retention-records.ts'
import { Problem } from '../problems.ts'
import type { OperatorStore } from '../services.ts'
import { inParallel } from './parallel.ts'

/** The folders of an export, and its index: a JSON object in a line for each file and folder. */
export const EXPORT_LAYOUT = {
  files: 'files', versions: 'versions', trash: 'trash', trashVersions: 'trash-versions', index: 'index.jsonl'
} as const

/** What was exported. `bytes`: of all files, versions and the trash. */
export interface ExportReport {
  files: number
  folders: number
  versions: number
  deleted: number
  bytes: number
  /** By their path in the export. */
  readonly failed: { readonly path: string, readonly reason: string }[]
}

interface ExportOptions {
  readonly account: AccountRecord
  /** Empty. */
  readonly folder: string
  readonly hasVersions: boolean
  readonly hasTrash: boolean
  readonly onProgress: (done: number) => void
}

/** A file of the export. `facts`: its line of the index, beside path, size, type and SHA-256. */
interface Exported {
  readonly kind: 'files' | 'versions' | 'deleted'
  readonly path: string
  readonly content: Pick<FileRecord, 'blobId' | 'size' | 'sha256' | 'type'>
  readonly modifiedAt: number
  readonly facts: object
}

/** Of a version, whose name begins with a time. */
const MAX_EXTENSION_BYTES = 32

/** A folder of the export. */
interface Place { readonly path: string, readonly names: ZipNames }

/**
 * Writes the files of an account as plain files, with their times and names that every system can have. All are on
 * stable storage, and none is a link to a file of the store. One whose bytes are damaged or gone does not stop the
 * others.
 */
export async function exportTree (
  { metadata, blobs }: OperatorStore, { account: { id: ownerId }, folder, onProgress, ...wanted }: ExportOptions
): Promise<ExportReport> {
  const report: ExportReport = { files: 0, folders: 0, versions: 0, deleted: 0, bytes: 0, failed: [] }
  const index = await open(join(folder, EXPORT_LAYOUT.index), 'wx', 0o600)
  const made = new Set([folder])
  let done = 0
  try {
    await inParallel(entries(), async entry => {
      const { kind, path, content: { size, type, sha256 }, facts } = entry
      const failure = await write(entry)
      if (failure !== undefined) report.failed.push({ path, reason: failure })
      else {
        report[kind]++
        report.bytes += size
        note({ path, size, type, sha256, ...facts })
      }
      onProgress(++done)
    })
    for (const path of made) await sync(path)
    await index.sync()
  } finally {
    await index.close()
  }
  return report

  function note (line: object): void {
    appendFileSync(index.fd, `${JSON.stringify(line)}\n`)
  }

  /** Returns why a file could not be written. */
  async function write (
    { path, content: { blobId: id, size, sha256 }, modifiedAt }: Exported
  ): Promise<string | undefined> {
    const target = join(folder, path)
    try {
      const bytes = await blobs.read({ id, size, sha256 })
      const written = await writeNew(target, Buffer.isBuffer(bytes) ? [bytes] : bytes)
      if (written.sha256 === sha256) {
        await utimes(target, modifiedAt / 1000, modifiedAt / 1000)
        return undefined
      }
      await rm(target)
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'file_damaged')) throw error
    }
    return 'its bytes are damaged or gone: see magicstore fsck'
  }

  async function placeAt (path: string): Promise<Place> {
    await makeFolder(join(folder, path))
    made.add(join(folder, path))
    return { path, names: new ZipNames() }
  }

  async function * entries (): AsyncGenerator<Exported> {
    const places = new Map([[0, await placeAt(EXPORT_LAYOUT.files)]])
    const former = wanted.hasVersions ? new Map([[0, await placeAt(EXPORT_LAYOUT.versions)]]) : undefined
    for await (const page of pagesBelow(metadata, ownerId, [0])) {
      if ('folders' in page) for (const found of page.folders) await addFolder(found, places, former)
      else {
        for (const file of page.files) {
          yield * ofFile(file, places.get(file.folderId) as Place, former?.get(file.folderId))
        }
      }
    }
    if (wanted.hasTrash) yield * trash()
  }

  async function addFolder (found: FolderRecord, places: Map<number, Place>, former?: Map<number, Place>) {
    const { id, parentId, path: name, createdAt, isStarred } = found
    const { path, names } = places.get(parentId) as Place
    const segment = splitPath(name).name
    const place = await placeAt(join(path, names.add(segment)))
    places.set(id, place)
    const above = former?.get(parentId)
    // Made with its first version.
    if (above) former?.set(id, { path: join(above.path, above.names.add(segment)), names: new ZipNames() })
    report.folders++
    note({ path: `${place.path}/`, name, createdAt: textOf(createdAt), starred: isStarred })
  }

  async function * ofFile (file: FileRecord, place: Place, former: Place | undefined): AsyncGenerator<Exported> {
    const { id, name, createdAt, updatedAt, modifiedAt, takenAt, isStarred } = file
    const segment = splitPath(name).name
    const facts = {
      name,
      createdAt: textOf(createdAt),
      updatedAt: textOf(updatedAt),
      modifiedAt: textOf(modifiedAt),
      // Local time, without a zone.
      takenAt: textOf(takenAt)?.replace(/(?:\.000)?Z$/, '') ?? null,
      starred: isStarred
    }
    const path = join(place.path, place.names.add(segment))
    yield { kind: 'files', path, content: file, modifiedAt: modifiedAt ?? updatedAt, facts }
    if (former === undefined) return
    yield * versionsOf({ fileId: id, name }, () => placeAt(join(former.path, former.names.add(segment))))
  }

  /** The place is made for the first one. */
  async function * versionsOf (
    { fileId, name }: { fileId: number, name: string }, makePlace: () => Promise<Place>
  ): AsyncGenerator<Exported> {
    let place: Place | undefined
    const list = (last?: VersionRecord) => metadata.versions.list(ownerId, fileId, pageAfter(last))
    for await (const page of pagesOf(list)) {
      for (const version of page) {
        const { storedAt, keptAt, modifiedAt } = version
        place ??= await makePlace()
        const stored = textOf(storedAt)
        const path = join(place.path, place.names.add(`${stored}${shortExtension(name)}`))
        const facts = { versionOf: name, createdAt: stored, modifiedAt: textOf(modifiedAt), replacedAt: textOf(keptAt) }
        yield { kind: 'versions', path, content: contentOf(version), modifiedAt: modifiedAt ?? storedAt, facts }
      }
    }
  }

  async function * trash (): AsyncGenerator<Exported> {
    const place = await placeAt(EXPORT_LAYOUT.trash)
    const former = wanted.hasVersions ? await placeAt(EXPORT_LAYOUT.trashVersions) : undefined
    for await (const page of pagesOf((last?: TrashRecord) => metadata.trash.list(ownerId, pageAfter(last)))) {
      for (const entry of page) {
        const { name, fileId, storedAt, keptAt, modifiedAt } = entry
        const safe = place.names.add(splitPath(name).name)
        const times = { createdAt: textOf(storedAt), modifiedAt: textOf(modifiedAt), deletedAt: textOf(keptAt) }
        yield {
          kind: 'deleted',
          path: join(place.path, safe),
          content: contentOf(entry),
          modifiedAt: modifiedAt ?? storedAt,
          facts: { deletedFrom: name, ...times }
        }
        if (former !== undefined) yield * versionsOf({ fileId, name }, () => placeAt(join(former.path, safe)))
      }
    }
  }
}

function pageAfter (last: VersionRecord | undefined) {
  return { limit: PAGE, after: last && { key: last.keptAt, id: last.id } }
}

function contentOf ({ id, size, sha256, type }: VersionRecord): Exported['content'] {
  return { blobId: id, size, sha256, type }
}

/** With the dot; '' if it is long, because a name has at most 255 bytes. */
function shortExtension (name: string): string {
  const extension = extname(name)
  return Buffer.byteLength(extension) <= MAX_EXTENSION_BYTES ? extension : ''
}

function textOf (time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString()
}
