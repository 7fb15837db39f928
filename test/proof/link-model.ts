import type { Amount, Quota } from '#src/metadata/records.ts'

/** A file or folder. Its path is its key in {@link LinkModel.things}. */
interface Thing { readonly isFolder: boolean, size: number }

interface ModelLink {
  readonly id: number
  readonly kind: 'download' | 'upload'
  readonly thing: Thing
  readonly secretHash: string
  readonly used: { files: number, bytes: number }
  max: Amount
  expiresAt: number | null
}

interface ModelUpload {
  readonly id: string
  readonly link: ModelLink
  readonly name: string
  readonly length: number | null
  offset: number
  expiresAt: number
}

const parentOf = (path: string) => path.slice(0, Math.max(path.lastIndexOf('/'), 0))
const isAtOrBelow = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`)
const reservation = ({ length, offset }: Pick<ModelUpload, 'length' | 'offset'>) => length ?? offset

/** Links, and what they are to, in lists: what a database must say of them. All belongs to one account. */
export class LinkModel {
  things = new Map<string, Thing>()
  links: ModelLink[] = []
  uploads: ModelUpload[] = []
  quota: Quota = { bytes: undefined, files: undefined }

  put (path: string, size: number): void {
    this.makeFolder(parentOf(path))
    const current = this.things.get(path)
    if (current === undefined) this.things.set(path, { isFolder: false, size })
    else current.size = size
  }

  makeFolder (path: string): void {
    if (path === '') return
    this.makeFolder(parentOf(path))
    if (!this.things.has(path)) this.things.set(path, { isFolder: true, size: 0 })
  }

  /** Moves a file or folder with all below it. Missing parents are made. */
  move (path: string, to: string): void {
    this.makeFolder(parentOf(to))
    this.things = new Map(Array.from(this.things, ([key, thing]) =>
      [isAtOrBelow(key, path) ? to + key.slice(path.length) : key, thing]))
  }

  /** Removes a file or folder with all below it, and the links to them. */
  remove (path: string): void {
    for (const key of Array.from(this.things.keys())) if (isAtOrBelow(key, path)) this.things.delete(key)
    const left = new Set(this.things.values())
    this.links = this.links.filter(({ thing }) => left.has(thing))
  }

  paths (isFolder: boolean): string[] {
    return Array.from(this.things).filter(([, thing]) => thing.isFolder === isFolder).map(([path]) => path).sort()
  }

  pathOf (link: ModelLink): string {
    return Array.from(this.things).find(([, thing]) => thing === link.thing)?.[0] ?? ''
  }

  isOpen (link: ModelLink, now: number): boolean {
    return this.links.includes(link) && (link.expiresAt === null || link.expiresAt > now)
  }

  /** Its uploads expire at once; those of a link that expired or ended with its folder, when housekeeping comes. */
  revoke (link: ModelLink, now: number): void {
    this.links = this.links.filter(other => other !== link)
    for (const upload of this.uploads) if (upload.link === link) upload.expiresAt = Math.min(upload.expiresAt, now)
  }

  housekeep (now: number): void {
    this.uploads = this.uploads.filter(({ link, expiresAt }) => expiresAt > now && this.isOpen(link, now))
  }

  unfinished (now: number, except?: ModelUpload): ModelUpload[] {
    return this.uploads.filter(upload => upload !== except && upload.expiresAt > now)
  }

  /** What a link and its owner have room for, as `links.room`. */
  room (link: ModelLink, now: number, except?: ModelUpload): { link: Amount, owner: Amount } {
    const unfinished = this.unfinished(now, except)
    const own = unfinished.filter(upload => upload.link === link)
    const sum = (numbers: number[]) => numbers.reduce((sum, number) => sum + number, 0)
    const size = Array.from(this.things.values()).reduce((sum, thing) => sum + thing.size, 0)
    const { files = Infinity, bytes = Infinity } = this.quota
    const room = (limit: number, used: number) => Math.max(limit - used, 0)
    return {
      link: {
        files: room(link.max.files, link.used.files + own.length),
        bytes: room(link.max.bytes, link.used.bytes + sum(own.map(reservation)))
      },
      // Of uploads by links, the owner's quota counts what has arrived.
      owner: {
        files: room(files, this.things.size),
        bytes: room(bytes, size + sum(unfinished.map(({ offset }) => offset)))
      }
    }
  }

  /** Why a link does not accept an upload of so many bytes; undefined if it does. */
  refusal (
    link: ModelLink,
    { announced, arrived = announced }: { announced: number, arrived?: number },
    now: number,
    except?: ModelUpload
  ): string | undefined {
    if (!this.isOpen(link, now) || link.kind !== 'upload') return 'not_found'
    const room = this.room(link, now, except)
    if (room.link.files < 1) return 'link_limit_reached'
    if (room.owner.files < 1) return 'quota_exceeded'
    if (announced > room.link.bytes) return 'link_limit_reached'
    return arrived > room.owner.bytes ? 'quota_exceeded' : undefined
  }

  /** Adds a file that came by a link. Returns what is wrong with its path, if anything is. */
  store (link: ModelLink, name: string, size: number, path: string): string | undefined {
    const folder = this.pathOf(link)
    const numbered = (number: number) => number === 1 ? `${folder}/${name}` : `${folder}/${name} (${number})`
    const number = Array.from({ length: 99 }, (_, index) => index + 1).find(each => numbered(each) === path)
    if (number === undefined) return `${path} is no name for ${name} in ${folder}`
    if (this.things.has(path)) return `${path} is taken`
    if (number > 1 && !this.things.has(numbered(number - 1))) return `${numbered(number - 1)} is free`
    this.put(path, size)
    link.used.files++
    link.used.bytes += size
    return undefined
  }
}
