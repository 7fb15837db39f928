import type { Passwords } from '../accounts/password.ts'
import { fileName, findName } from '../files/names.ts'
import type { LinkKind, LinkRecord, LinkTerms } from '../metadata/link-records.ts'
import type { Metadata } from '../metadata/metadata.ts'
import { Problem } from '../problems.ts'
import { createSecret, hashOfSecret } from './link-secrets.ts'

/** What a link accepts unless its owner says otherwise: 1 GiB. */
const DEFAULT_LIMITS = {
  download: { maxFiles: null, maxBytes: null },
  upload: { maxFiles: 100, maxBytes: 1024 ** 3 }
} as const

const DAY_MILLISECONDS = 86_400_000

/** The latest time in RFC 3339, which has four-digit years; an input with a UTC offset can be later. */
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z')

interface ShareLinksOptions {
  readonly metadata: Metadata
  readonly passwords: Passwords
  /** Whether the operator allows links. */
  readonly hasLinks: boolean
  /** Longest lifetime, and the default; 0: no limit. */
  readonly maxDays: number
}

/** Terms as an owner writes them. `expiresAt` is a time of RFC 3339; null stands for no end, and for no password. */
export interface WantedTerms {
  readonly expiresAt?: string | null | undefined
  readonly password?: string | null | undefined
  readonly maxFiles?: number | undefined
  readonly maxBytes?: number | undefined
  readonly showsOwner?: boolean | undefined
}

interface WantedLink extends WantedTerms { readonly name: string, readonly kind: LinkKind }

/** A link with its secret, which is known only now. */
export interface LinkAndSecret { readonly link: LinkRecord, readonly secret: string }

/** How a list continues: links with an id below `beforeId`, newest first; only those of `name` if it is given. */
interface LinkPage { readonly name?: string | undefined, readonly beforeId: number | undefined, readonly limit: number }

/** The links of accounts. */
export class ShareLinks {
  readonly #options: ShareLinksOptions

  constructor (options: ShareLinksOptions) {
    this.#options = options
  }

  /**
   * Creates a link to a file or folder.
   * @throws links_off, name_invalid, validation_failed, password_invalid, not_found, too_many_links, overloaded.
   */
  async create (accountId: number, { name: text, kind, ...wanted }: WantedLink): Promise<LinkAndSecret> {
    const { metadata } = this.#options
    this.#requireLinks()
    const name = fileName(text)
    const expiresAt = this.#latestAt(await metadata.now())
    const unset = { expiresAt, passwordHash: null, ...DEFAULT_LIMITS[kind], showsOwner: true }
    const terms = { ...unset, ...await this.#termsOf(kind, wanted) }
    const secret = createSecret()
    const secretHash = hashOfSecret(secret)
    const added = { ...terms, accountId, name, kind, secretHash }
    return { link: await metadata.links.add(added), secret }
  }

  /** Links, newest first. */
  async list (accountId: number, { name: text, ...page }: LinkPage): Promise<LinkRecord[]> {
    const name = text === undefined ? undefined : findName(text)
    // No file or folder can have this name.
    if (text !== undefined && name === undefined) return []
    return this.#options.metadata.links.list(accountId, { ...page, name })
  }

  /** @throws not_found. */
  async get (accountId: number, id: number): Promise<LinkRecord> {
    const link = await this.#options.metadata.links.find(accountId, id)
    if (link === undefined) throw new Problem('not_found')
    return link
  }

  /** Changes terms of a link. @throws links_off, validation_failed, password_invalid, not_found, overloaded. */
  async change ({ accountId, id, kind }: LinkRecord, wanted: WantedTerms): Promise<LinkRecord> {
    const { metadata: { links } } = this.#options
    this.#requireLinks()
    const terms = await this.#termsOf(kind, wanted)
    return links.change(accountId, id, terms)
  }

  /** Gives a link another secret: the earlier one opens nothing from now on. @throws links_off, not_found. */
  async replaceSecret ({ accountId, id }: LinkRecord): Promise<LinkAndSecret> {
    const { metadata: { links } } = this.#options
    this.#requireLinks()
    const secret = createSecret()
    const secretHash = hashOfSecret(secret)
    return { link: await links.change(accountId, id, { secretHash }), secret }
  }

  /** Ends a link. @throws not_found. */
  remove (accountId: number, id: number): Promise<void> {
    const { metadata } = this.#options
    return metadata.links.remove(accountId, id)
  }

  /** Ends all links, or those of one file or folder. */
  async removeAll (accountId: number, text?: string): Promise<void> {
    const { metadata } = this.#options
    const name = text === undefined ? undefined : findName(text)
    if (text !== undefined && name === undefined) return
    await metadata.links.removeAll(accountId, name)
  }

  #requireLinks (): void {
    if (!this.#options.hasLinks) throw new Problem('links_off')
  }

  /** The terms that are given, as they are stored. */
  async #termsOf (kind: LinkKind, { expiresAt, password, ...plain }: WantedTerms): Promise<Partial<LinkTerms>> {
    const { passwords } = this.#options
    if (kind === 'download') refuseLimits(plain)
    const given = Object.fromEntries(Object.entries(plain).filter(([, value]) => value !== undefined))
    const end = expiresAt === undefined ? {} : { expiresAt: await this.#endOf(expiresAt) }
    if (password === undefined) return { ...given, ...end }
    // A link belongs to no username that its password could repeat.
    const passwordHash = password === null ? null : await passwords.hash(passwords.accept(password, ''))
    return { ...given, ...end, passwordHash }
  }

  /** The latest end of a link that is made now; null for no limit. */
  #latestAt (now: number): number | null {
    const { maxDays } = this.#options
    return maxDays === 0 ? null : now + maxDays * DAY_MILLISECONDS
  }

  /** @throws validation_failed unless the time is in the future, and not after the latest end. */
  async #endOf (text: string | null): Promise<number | null> {
    const { metadata, maxDays } = this.#options
    const now = await metadata.now()
    const latest = this.#latestAt(now)
    const end = text === null ? null : Date.parse(text)
    if (end === null ? latest === null : end > now && end <= (latest ?? MAX_TIME)) return end
    // Also NaN: Date.parse does not accept everything in RFC 3339, such as leap seconds.
    const limit = maxDays === 0 ? 'before the year 10000' : `at most ${maxDays} days from now`
    throw new Problem('validation_failed', { errors: [{ field: 'expiresAt', message: `must be a time in the future, ${limit}` }] })
  }
}

/** @throws validation_failed. */
function refuseLimits (wanted: Pick<WantedTerms, 'maxFiles' | 'maxBytes'>): void {
  const field = (['maxFiles', 'maxBytes'] as const).find(name => wanted[name] !== undefined)
  if (field === undefined) return
  throw new Problem('validation_failed', { errors: [{ field, message: 'is only for links of the kind `upload`' }] })
}
