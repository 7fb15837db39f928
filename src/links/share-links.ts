import { fileName, inField, segmentName } from '../files/names.ts'
import type { LinkKind, LinkRecord, LinkTerms } from '../metadata/link-records.ts'
import { joinPath } from '../metadata/paths.ts'
import { contextOfLink } from '../metadata/sealed-texts.ts'
import { invalidField, Problem } from '../problems.ts'
import type { AppServices } from '../services.ts'
import { createSecret, hashOfSecret } from './link-secrets.ts'

/** What a link accepts unless its owner says otherwise: 1 GiB. */
const DEFAULT_LIMITS = {
  download: { maxFiles: null, maxBytes: null },
  upload: { maxFiles: 100, maxBytes: 1024 ** 3 }
} as const

const DAY_MILLISECONDS = 86_400_000

/** The latest time in RFC 3339, which has four-digit years; an input with a UTC offset can be later. */
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z')

/** Terms as an owner writes them. `expiresAt` is a time of RFC 3339; null stands for no end, and for no password. */
interface WantedTerms {
  readonly expiresAt?: string | null
  readonly password?: string | null
  readonly maxFiles?: number
  readonly maxBytes?: number
  readonly showsOwner?: boolean
}

interface WantedLink extends WantedTerms {
  readonly name: string
  readonly kind: LinkKind
  readonly fileName?: string | undefined
  readonly sha256?: string | null
}

/** What a link accepts in place of any file. */
type OnlyFile = Pick<LinkRecord, 'fileName' | 'sha256'>

/** A link with its secret, which is known only now. */
export interface LinkAndSecret { readonly link: LinkRecord, readonly secret: string }

export type ShareLinks = ReturnType<typeof createShareLinks>

/** The links of accounts. */
export function createShareLinks (
  { config, metadata, passwords, sealer, failures }:
  Pick<AppServices, 'config' | 'metadata' | 'passwords' | 'sealer' | 'failures'>
) {
  const onUnsealed = failures.of('the encryption of the secret of a link')

  function requireLinks (): void {
    if (!config.hasLinks) throw new Problem('links_off')
  }

  /** The terms that are given, as they are stored. */
  async function termsOf (kind: LinkKind, { expiresAt, password, ...plain }: WantedTerms): Promise<Partial<LinkTerms>> {
    if (kind === 'download') refuseLimits(plain)
    return {
      ...plain,
      ...(expiresAt !== undefined && { expiresAt: await endOf(expiresAt) }),
      // A link belongs to no username that its password could repeat.
      ...(password !== undefined && {
        passwordHash: password === null ? null : await passwords.hash(passwords.accept(password, ''))
      })
    }
  }

  /** The latest end of a link that is made now; null for no limit. */
  function latestAt (now: number): number | null {
    const { linkMaxDays: maxDays } = config
    return maxDays === 0 ? null : now + maxDays * DAY_MILLISECONDS
  }

  /** @throws validation_failed unless the time is in the future, and not after the latest end. */
  async function endOf (text: string | null): Promise<number | null> {
    const { linkMaxDays: maxDays } = config
    const now = await metadata.now()
    const latest = latestAt(now)
    const end = text === null ? null : Date.parse(text)
    if (end === null ? latest === null : end > now && end <= (latest ?? MAX_TIME)) return end
    // Also NaN: Date.parse does not accept everything in RFC 3339, such as leap seconds.
    const limit = maxDays === 0 ? 'before the year 10000' : `at most ${maxDays} days from now`
    throw invalidField('expiresAt', `must be a time in the future, ${limit}`)
  }

  /** A new secret, and what is stored of it. A link without its sealed secret works, but its address is told once. */
  async function newSecret (accountId: number) {
    const secret = createSecret()
    const secretHash = hashOfSecret(secret)
    const secretSealed = await sealer.seal(accountId, secret, contextOfLink(secretHash)).catch((error: unknown) => {
      onUnsealed(error)
      return null
    })
    return { secret, stored: { secretHash, secretSealed } }
  }

  return {
    /**
     * Creates a link to a file or folder.
     * @throws links_off, name_invalid, validation_failed, password_invalid, not_found, name_taken, too_many_links,
     * overloaded.
     */
    async create (
      accountId: number, { name: text, kind, fileName: only, sha256 = null, ...wanted }: WantedLink
    ): Promise<LinkAndSecret> {
      requireLinks()
      const name = fileName(text)
      const file = onlyFile(name, { kind, fileName: only, sha256 })
      if (file.fileName !== null) refuseSeveral(wanted)
      const expiresAt = latestAt(await metadata.now())
      const limits = { ...DEFAULT_LIMITS[kind], ...(file.fileName !== null && { maxFiles: 1 }) }
      const unset = { expiresAt, passwordHash: null, ...limits, showsOwner: true }
      const terms = { ...unset, ...await termsOf(kind, wanted) }
      const { secret, stored } = await newSecret(accountId)
      return { link: await metadata.links.add({ ...terms, ...stored, ...file, accountId, name, kind }), secret }
    },

    /** @throws not_found. */
    async get (accountId: number, id: number): Promise<LinkRecord> {
      const link = await metadata.links.find(accountId, id)
      if (link === undefined) throw new Problem('not_found')
      return link
    },

    /** Changes terms of a link. @throws links_off, validation_failed, password_invalid, not_found, overloaded. */
    async change ({ accountId, id, kind, ...link }: LinkRecord, wanted: WantedTerms): Promise<LinkRecord> {
      requireLinks()
      if (link.fileName !== null) refuseSeveral(wanted)
      return metadata.links.change(accountId, id, await termsOf(kind, wanted))
    },

    /** Gives a link another secret: the earlier one opens nothing from now on. @throws links_off, not_found. */
    async replaceSecret ({ accountId, id }: LinkRecord): Promise<LinkAndSecret> {
      requireLinks()
      const { secret, stored } = await newSecret(accountId)
      return { link: await metadata.links.change(accountId, id, stored), secret }
    },

    /** The secret of a link. @throws links_off, link_address_unknown. */
    async secretOf ({ accountId, secretHash, secretSealed }: LinkRecord): Promise<string> {
      requireLinks()
      if (secretSealed === null) throw new Problem('link_address_unknown')
      return sealer.open(accountId, secretSealed, contextOfLink(secretHash))
        .catch(cause => { throw new Problem('link_address_unknown', { cause }) })
    }
  }
}

/** The one file that a link accepts. @throws validation_failed, name_invalid. */
function onlyFile (
  folder: string, { kind, fileName: text, sha256 = null }: Pick<WantedLink, 'kind' | 'fileName' | 'sha256'>
): OnlyFile {
  if (text === undefined) {
    if (sha256 !== null) throw invalidField('sha256', 'needs `fileName`')
    return { fileName: null, sha256 }
  }
  if (kind === 'download') throw invalidField('fileName', 'is only for links of the kind `upload`')
  const name = inField('fileName', () => {
    const segment = segmentName(text)
    // The whole path may be too long.
    fileName(joinPath(folder, segment))
    return segment
  })
  return { fileName: name, sha256 }
}

/** @throws validation_failed if a link for one upload would accept more. */
function refuseSeveral ({ maxFiles = 1 }: Pick<WantedTerms, 'maxFiles'>): void {
  if (maxFiles !== 1) throw invalidField('maxFiles', 'is 1 for a link with `fileName`')
}

/** @throws validation_failed. */
function refuseLimits (wanted: Pick<WantedTerms, 'maxFiles' | 'maxBytes'>): void {
  const field = (['maxFiles', 'maxBytes'] as const).find(name => wanted[name] !== undefined)
  if (field !== undefined) throw invalidField(field, 'is only for links of the kind `upload`')
}
