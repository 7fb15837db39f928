import createClient, { type Client } from 'openapi-fetch'
import { passwordOperations, publicOperations, type components, type paths } from './schema.js'

/** Address of the server, unless another one is given. */
const BASE_URL = 'http://127.0.0.1:5000'

/** Share of an access token's lifetime after which a new one is requested. */
const RENEWAL_SHARE = 0.9

/** Largest part of a body that is sent before progress is reported again. */
const PIECE_BYTES = 64 * 1024

/** The largest content that `uploadByLink` sends in one request. */
const MAX_PLAIN_BYTES = 8 * 1024 * 1024

/** Statuses below 500 after which an upload is tried again: timeout, another offset, rate limit. */
const TRANSIENT_STATUSES = [408, 409, 429]

/** The largest page of the API, and the longest wait for a change. */
const MAX_PAGE_ENTRIES = 1000
const WAIT_SECONDS = 60

/** How many retries in a row may store no byte of an upload. */
const RETRIES = 10

/** The header of a one-time code, a recovery code or a confirmation code. */
const CODE_HEADER = 'one-time-code'

/** The longest wait before the first retry. It doubles with each retry, up to 30 s. */
const FIRST_WAIT_MS = 500
const MAX_WAIT_MS = 30_000

/** How long to wait, after an abort, for the response to the creation of an upload. */
const LATE_ANSWER_MS = 10_000

/**
 * The metadata of a file. Its name is its path: segments joined by `/`. Check each segment before it becomes a path on
 * a disk: on Windows, `C:` or `NUL` mean something else.
 */
export type StoredFile = components['schemas']['StoredFile']

/** A former content of a file. */
export type Version = components['schemas']['Version']

/** A file in the trash. */
export type DeletedFile = components['schemas']['DeletedFile']

/** What one deletion has in the trash. */
export type Deletion = components['schemas']['Deletion']

/** A folder. Its name is its path: segments joined by `/`. */
export type Folder = components['schemas']['Folder']

/** Changes of files and folders, and the cursor for the next call. */
export type ChangeList = components['schemas']['ChangeList']

/**
 * What `restoreDeletion` did. Files in `kept` stay in the trash, each for the reason in its `code`. `placed` can be
 * sent as `items` to `POST /api/trash`, which takes the restore back.
 */
export type RestoredFiles = components['schemas']['RestoredFiles']

/** A registered user. */
export type User = components['schemas']['User']

/** The factors of the account, and the number of recovery codes that are left. */
export type SecondFactor = components['schemas']['SecondFactor']

/** A passkey of the account. */
export type Passkey = components['schemas']['Passkey']

/** A new passkey, with the recovery codes if it is the first factor. */
export type RegisteredPasskey = components['schemas']['RegisteredPasskey']

/** A secret for one-time codes, and its URI for a QR code. */
export type TotpSecret = components['schemas']['TotpSecret']

/** `toJSON()` of a credential from `navigator.credentials.create`. */
export type PasskeyAttestation = components['schemas']['PasskeyAttestation']

/** `toJSON()` of a credential from `navigator.credentials.get`. */
export type PasskeyAssertion = components['schemas']['PasskeyAssertion']

export type PasskeyCreationOptions = components['schemas']['PasskeyCreationOptions']

export type PasskeyRequestOptions = components['schemas']['PasskeyRequestOptions']

/** A session, with its key and its first access token. */
export type NewSession = components['schemas']['NewSession']

/** The body of an error response (RFC 9457). */
export type Problem = components['schemas']['Problem']

export interface Password { username: string, password: string }

/**
 * For an account with a second factor: a one-time code, a recovery code or a confirmation code. `code` is sent once,
 * with the first request that takes the password. `onCode` is called when the server asks for a code, at most once for
 * each request.
 */
export interface OneTimeCode {
  code?: string | undefined
  onCode?: (() => string | Promise<string>) | undefined
}

/** An access token, and its lifetime in seconds. */
export interface IssuedToken { token: string, duration: number }

/** A source of access tokens, such as a session: the client asks it for a token when it needs one. */
export interface TokenSource { issue: () => Promise<IssuedToken> }

/**
 * With a password or a source of tokens, the client keeps an access token, renews it before it expires, and forgets it
 * after a 401. A token is sent as it is.
 */
export type Credentials = (Password & OneTimeCode) | { token: string } | TokenSource

type Fetch = (request: Request) => Promise<Response>

export interface MagicStoreOptions {
  baseUrl?: string | undefined
  credentials?: Credentials | undefined
  /** Used instead of the global `fetch`, for example to add a proxy or a log. */
  fetch?: Fetch | undefined
}

/**
 * What can be stored: a `File` or another `Blob`, a string, an `ArrayBuffer`, or a view of one such as `Uint8Array` or
 * `Buffer`. The `lastModified` of a `File` is stored as `modifiedAt`.
 */
export type Content = Blob | string | ArrayBuffer | ArrayBufferView

export interface RequestOptions {
  /** Cancels the request, such as `AbortSignal.timeout(10_000)`. The call then rejects with the signal's reason. */
  signal?: AbortSignal | undefined
}

export interface UploadOptions extends RequestOptions {
  /**
   * Called while the file is sent, with the bytes sent so far and the size of the file. Browsers can't measure this
   * with `fetch`: there such an upload is sent by XMLHttpRequest, and the client's own `fetch` is not called.
   */
  onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined
}

/** If a precondition is not met, the request fails with 412 and changes nothing. */
export interface PutOptions extends UploadOptions {
  /** The entity tag of the content to replace. */
  ifMatch?: string | undefined
  /** `*` to create a file and never replace one. */
  ifNoneMatch?: string | undefined
}

export interface ResumableOptions extends PutOptions {
  /** The unfinished upload to continue. Its bytes must be the beginning of this file. A new one if unset. */
  id?: string | undefined
  /** Called with the id of the new upload, before its bytes are sent. With it, a later call can continue the upload. */
  onCreated?: ((id: string) => void) | undefined
  /** Called with the error of a failed attempt, before the wait for the next one. */
  onRetry?: ((error: unknown) => void) | undefined
}

export interface RemoveOptions extends RequestOptions {
  /** The entity tag of the content to delete. */
  ifMatch?: string | undefined
  /** Delete the file and its versions for good, instead of moving them to the trash. */
  permanent?: boolean | undefined
}

export interface RemoveFolderOptions extends RequestOptions {
  /** Delete the folder with all that is in it. Otherwise a folder that is not empty fails with `folder_not_empty`. */
  recursive?: boolean | undefined
  /** Delete the files and their versions for good, instead of moving them to the trash. */
  permanent?: boolean | undefined
}

export interface RestoreVersionOptions extends RequestOptions {
  /** The entity tag of the content to replace. */
  ifMatch?: string | undefined
}

export interface RestoreOptions extends RequestOptions {
  /** Another name for the file, also in another folder. */
  name?: string | undefined
}

export interface ConfirmOptions extends RequestOptions {
  /** The secret of the reset of a password, if the code is for `claim`. The client needs no credentials then. */
  secret?: string | undefined
}

export interface FirstFactorOptions extends RequestOptions {
  /** The session that stays if this is the first factor, which ends all others. */
  sessionId?: number | undefined
}

export interface ClaimOptions extends RequestOptions {
  /** For the reset of an account that has a second factor. */
  code?: string | undefined
}

/** The secret of an invitation or a reset, and the new username and password. */
export type Claim = components['schemas']['NewClaim']

/** What a program shows to its user, who types the code at that address. */
export interface WaitingConnection { userCode: string, verificationUrl: string, expiresAt: string }

export interface ConnectOptions extends RequestOptions {
  /** Called once, with what to show. */
  onWaiting: (connection: WaitingConnection) => void
}

/** The name of a program, and what its token shall allow. */
export type WantedConnection = components['schemas']['NewConnection']

/** The token that a user has allowed. */
export type ConnectedToken = components['schemas']['ConnectedToken']

/** What a link for one upload takes: one file of this name in `folder`, which exists. */
export type UploadLinkTerms = Pick<components['schemas']['NewLink'], 'sha256' | 'maxBytes' | 'expiresAt'> &
  { folder: string, fileName: string }

/** Where one file can be uploaded to without a credential. */
export interface UploadLink { url: string, fileName: string }

/** A new link for one upload. `linkId` of a change is its `id`. */
export type CreatedUploadLink = components['schemas']['CreatedLink'] & UploadLink

/** What a link has stored. */
export type SharedUploadResult = components['schemas']['SharedUploadResult']

export interface LinkUploadOptions extends Omit<ResumableOptions, 'ifMatch' | 'ifNoneMatch'> {
  /** Used instead of the global `fetch`. */
  fetch?: Fetch | undefined
}

/** A range of bytes: positions of the first and the last byte, counted from 0. */
export interface DownloadOptions extends RequestOptions {
  /** The start of the file if unset. */
  first?: number | undefined
  /** The end of the file if unset. */
  last?: number | undefined
  /** The id of a version to download instead of the current content. */
  version?: string | undefined
}

export interface Download {
  stream: ReadableStream<Uint8Array>
  /** Its headers have the entity tag, the digest and the media type. */
  response: Response
}

export type ChangeQuery = NonNullable<paths['/api/changes']['get']['parameters']['query']>

/** The metadata of all folders and files of an account by id, and the cursor of the last change in it. */
export interface Mirror {
  /** Names are as of when each was read. A folder above may have moved since: `pathOf` returns the current path. */
  readonly folders: Map<string, Folder>
  readonly files: Map<string, StoredFile>
  /** Undefined until everything has been listed. */
  cursor: string | undefined
}

/** What `mirror` yields when the copy is up to date. */
export interface MirrorUpdate {
  mirror: Mirror
  /** The ids of files and folders that changed or were deleted since the previous update. */
  changed: Set<string>
  /** Why everything was listed again; undefined if it was not. */
  reason: ChangeList['reason']
}

export type ListQuery = Omit<NonNullable<paths['/api/files']['get']['parameters']['query']>, 'cursor'>

export type TimelineQuery = NonNullable<paths['/api/timeline']['get']['parameters']['query']>

/** The pictures and videos of one month. */
export type Month = components['schemas']['Timeline']['months'][number]

export interface ThumbnailOptions extends RequestOptions {
  /** When the picture was taken, in local time without a zone: `2024-07-01T12:30:00`. */
  takenAt?: string | undefined
}

/** A name of a file or folder is its path, such as `reports/2026/q1.pdf`. Missing folders are created with a file. */
export interface MagicStore {
  /** Every operation of the API. Each resolves to `{ data, error, response }`; `bodyOf` returns the data or throws. */
  readonly api: Client<paths>
  /** Creates an account. The client needs no credentials for it. */
  register (account: Password, options?: RequestOptions): Promise<User>
  /** Creates a file. If one of this name exists, the same bytes are accepted and other bytes fail with `name_taken`. */
  upload (file: Content, name?: string, options?: UploadOptions): Promise<StoredFile>
  /** Creates or replaces a file. */
  put (name: string, content: Content, options?: PutOptions): Promise<StoredFile>
  /**
   * Creates or replaces a file as `put` does, in an upload that continues from its last stored byte after a network
   * error or while the server is unavailable. It rejects if ten retries in a row store nothing. After that or an abort,
   * a call with the `id` continues it; one that is aborted before `onCreated` was called is ended on the server.
   */
  putResumable (name: string, content: Content, options?: ResumableOptions): Promise<StoredFile>
  /**
   * Creates a link by which a browser uploads one file with `uploadByLink`. Needs `LINKS=on`, and of a token the scopes
   * `links` and `files:write`. Fails with `name_taken` if the folder has a file of this name.
   */
  createUploadLink (terms: UploadLinkTerms, options?: RequestOptions): Promise<CreatedUploadLink>
  /** Downloads a file or a range of it as a stream. */
  download (name: string, options?: DownloadOptions): Promise<Download>
  /** Downloads all that is in a folder, or in the root, as a zip. */
  zipFolder (folder?: string, options?: RequestOptions): Promise<Download>
  /** Downloads files, and folders with all that is in them, as one zip. */
  zip (names: string[], options?: RequestOptions): Promise<Download>
  /**
   * Lists all files, or those directly in the folder `folder`, which is `/` for the root. The orders by size and by
   * creation and a `prefix` list one folder, the root by default. With `contains`, finds files by a part of their name,
   * in all folders or in `folder`; in an order by date or size, only the first `limit` (at most 1,000) among 100,000
   * names. Pages are requested when they are needed.
   */
  list (query?: ListQuery, options?: RequestOptions): AsyncGenerator<StoredFile, void, undefined>
  /** Counts the pictures and videos of each month, newest first: of a folder, or with `below` also of those below. */
  timeline (query?: TimelineQuery, options?: RequestOptions): Promise<Month[]>
  /** Stores a WebP or JPEG of at most 64 KiB and 512 pixels a side for the content that `file` has. */
  putThumbnail (
    file: Pick<StoredFile, 'name' | 'sha256'>, picture: Content, options?: ThumbnailOptions
  ): Promise<StoredFile>
  /** The thumbnail of a file whose `hasThumbnail` is true. Fails with `precondition_failed` after a change. */
  thumbnail (file: Pick<StoredFile, 'name' | 'sha256'>, options?: RequestOptions): Promise<Blob>
  /** Records when the content that `file` has was taken, in local time without a zone; null if it is not known. */
  setTakenAt (
    file: Pick<StoredFile, 'name' | 'sha256'>, takenAt: string | null, options?: RequestOptions
  ): Promise<StoredFile>
  /** Renames a file, or moves it to another folder. Fails with `name_taken` if the new name exists. */
  rename (name: string, newName: string, options?: RequestOptions): Promise<StoredFile>
  /** Gives a file a star, or takes it, and changes nothing else. `list({ starred: true })` finds it everywhere. */
  star (name: string, starred: boolean, options?: RequestOptions): Promise<StoredFile>
  /**
   * Lists what has changed since the `next` of an earlier call, or waits up to `wait` seconds until something has. If
   * `reset` is true, as without a cursor, the changes are not all known: list all files and folders, then
   * continue with `next`.
   */
  changes (query?: ChangeQuery, options?: RequestOptions): Promise<ChangeList>
  /**
   * Lists all folders and files, then follows the changes without end. Yields whenever the copy is up to date: after
   * the first listing, then after each change. With the mirror of an earlier call, it continues from there and updates
   * that object. A failed request ends the iteration; another call with the mirror can continue.
   */
  mirror (mirror?: Mirror, options?: RequestOptions): AsyncGenerator<MirrorUpdate, void, undefined>
  /** Copies a file on the server, without its versions. Fails with `name_taken` if the new name exists. */
  copy (name: string, newName: string, options?: RequestOptions): Promise<StoredFile>
  /** Moves a file to the trash, or deletes it for good. Downloads in progress complete. */
  remove (name: string, options?: RemoveOptions): Promise<void>
  /**
   * Ends the lock that a WebDAV client has set on a file. Changes under a lock fail with `file_locked`, with the locked
   * files and folders in `problem.locked`. Fails with `not_found` if the file has no lock.
   */
  breakLock (name: string, options?: RequestOptions): Promise<void>
  /** Lists the folders directly in a folder by name, or in the root. */
  listFolders (folder?: string, options?: RequestOptions): AsyncGenerator<Folder, void, undefined>
  getFolder (name: string, options?: RequestOptions): Promise<Folder>
  /** Creates a folder, if it does not exist. Fails with `name_taken` if a file has its name. */
  createFolder (name: string, options?: RequestOptions): Promise<Folder>
  /** Renames or moves a folder with all that is in it. Fails with `name_taken` if the new name exists. */
  moveFolder (name: string, newName: string, options?: RequestOptions): Promise<Folder>
  /** Gives a folder a star, or takes it. What is in it has none by that. */
  starFolder (name: string, starred: boolean, options?: RequestOptions): Promise<Folder>
  /** Deletes an empty folder, or with `recursive` one with all that is in it: the files are moved to the trash. */
  removeFolder (name: string, options?: RemoveFolderOptions): Promise<void>
  /** Ends the lock that a WebDAV client has set on a folder, as `breakLock` does for a file. */
  breakFolderLock (name: string, options?: RequestOptions): Promise<void>
  /** Lists the former contents of a file, newest replaced first. */
  versions (name: string, options?: RequestOptions): AsyncGenerator<Version, void, undefined>
  /** Gives a file the content of a version again. The current content becomes a version. */
  restoreVersion (name: string, id: string, options?: RestoreVersionOptions): Promise<StoredFile>
  /** Lists deleted files, newest deleted first. */
  trash (options?: RequestOptions): AsyncGenerator<DeletedFile, void, undefined>
  /** Restores a deleted file with its versions. Fails with `name_taken` if its name exists again: give another one. */
  restore (id: string, options?: RestoreOptions): Promise<StoredFile>
  /** Restores the files that one `removeFolder` deleted: those with this `deletedWith` in the trash. */
  restoreDeletion (deletedWith: string, options?: RequestOptions): Promise<RestoredFiles>
  getSecondFactor (options?: RequestOptions): Promise<SecondFactor>
  /** Creates a secret for one-time codes. They are on after `confirmTotp`. */
  setUpTotp (options?: RequestOptions): Promise<TotpSecret>
  /** Turns one-time codes on with a code of the new secret. Returns the recovery codes if it is the first factor. */
  confirmTotp (code: string, options?: FirstFactorOptions): Promise<string[] | null>
  removeTotp (options?: RequestOptions): Promise<void>
  /** Replaces the recovery codes. They can't be read again. */
  createRecoveryCodes (options?: RequestOptions): Promise<string[]>
  /** What `navigator.credentials.create` needs, after `PublicKeyCredential.parseCreationOptionsFromJSON`. */
  getPasskeyOptions (options?: RequestOptions): Promise<PasskeyCreationOptions>
  /** Adds the passkey that the browser created. */
  createPasskey (
    name: string, credential: PasskeyAttestation, options?: FirstFactorOptions
  ): Promise<RegisteredPasskey>
  removePasskey (id: number, options?: RequestOptions): Promise<void>
  /** What `navigator.credentials.get` needs for `confirm`, after `PublicKeyCredential.parseRequestOptionsFromJSON`. */
  getConfirmOptions (options?: ConfirmOptions): Promise<PasskeyRequestOptions>
  /** Returns a code for an assertion of a passkey, which is valid once within five minutes. */
  confirm (credential: PasskeyAssertion, options?: ConfirmOptions): Promise<string>
  /** What `navigator.credentials.get` needs for `signIn`, after `PublicKeyCredential.parseRequestOptionsFromJSON`. */
  getSignInOptions (options?: RequestOptions): Promise<PasskeyRequestOptions>
  /** Creates a session with a passkey instead of a password. */
  signIn (credential: PasskeyAssertion, options?: RequestOptions): Promise<NewSession>
  /** Uses an invitation, and returns the new user; or a reset, and returns undefined. */
  claim (claim: Claim, options?: ClaimOptions): Promise<User | undefined>
  /**
   * Gets a token for a program without a credential, once its user has typed the code and allowed it. Rejects with 404
   * if that is refused, or not done within ten minutes.
   */
  connect (wanted: WantedConnection, options: ConnectOptions): Promise<ConnectedToken>
}

/** Thrown for every response that is not a success. */
export class MagicStoreError extends Error {
  readonly status: number
  /** The stable code of the error; undefined if the response is not from MagicStore, but from a proxy for example. */
  readonly code: string | undefined
  readonly problem: Problem | undefined
  /** How long to wait before the next attempt (`Retry-After`); undefined if the response does not say. */
  readonly retryAfterSeconds: number | undefined

  constructor (status: number, body: unknown, headers = new Headers()) {
    const problem = isProblem(body) ? body : undefined
    super(problem === undefined ? `status ${status}` : `${problem.code}: ${problem.detail}`)
    this.name = 'MagicStoreError'
    this.status = status
    this.code = problem?.code
    this.problem = problem
    const seconds = Number.parseInt(headers.get('retry-after') ?? '')
    this.retryAfterSeconds = Number.isNaN(seconds) ? undefined : seconds
  }
}

export function createMagicStore ({
  baseUrl = BASE_URL, credentials, fetch: send = globalThis.fetch
}: MagicStoreOptions = {}): MagicStore {
  const fetch = withCodes(keeping(send), credentials)
  const api = createApi(baseUrl, fetch)
  if (credentials !== undefined) authorize(api, credentials)
  return {
    api,
    async register (account, options) {
      return bodyOf(await api.POST('/api/users', { body: account, ...initOf(options) }))
    },
    async upload (file, name, options = {}) {
      const bytes = blobOf(file, name)
      // A form can't carry the folder in the name of its file.
      const slash = name?.lastIndexOf('/') ?? -1
      const query = name === undefined || slash === -1 ? {} : { folder: name.slice(0, slash) }
      const named = name === undefined ? bytes : new File([bytes], name.slice(slash + 1), { type: bytes.type })
      const modifiedAt = modifiedAtOf(file)
      // The fields come before the file, because the server stores the file while it arrives.
      const body = { ...(modifiedAt !== undefined && { modifiedAt }), file: named }
      return withOwnSignal(options, async options =>
        bodyOf(await api.POST('/', { body, ...initOf(options, { query }), ...progressOf(fetch, bytes, options) })))
    },
    async put (name, content, options = {}) {
      const bytes = blobOf(content, name)
      const params = { path: { name }, header: { ...preconditionOf(options), ...modificationOf(bytes) } }
      return withOwnSignal(options, async options => {
        const init = { body: bytes, ...initOf(options, params), ...progressOf(fetch, bytes, options) }
        return bodyOf(await api.PUT('/uploads/{name}', init))
      })
    },
    async putResumable (name, content, options = {}) {
      const bytes = blobOf(content, name)
      return withOwnSignal(options, async options => retried(resumableUpload<StoredFile>({
        api,
        fetch,
        bytes,
        options,
        path: '/api/uploads/{id}',
        create: (body, header, init) => api.PUT('/uploads/{name}', {
          body, ...initOf(init, { path: { name }, header: { ...preconditionOf(options), ...header } })
        })
      }), options))
    },
    async createUploadLink ({ folder, ...terms }, options) {
      const body = { ...terms, name: folder, kind: 'upload' as const, showsOwner: false }
      const created = bodyOf(await api.POST('/api/links', { body, ...initOf(options) })) as CreatedUploadLink
      // A path, if the server does not know its own address.
      return created.url.startsWith('/') ? { ...created, url: new URL(created.url, baseUrl).href } : created
    },
    async download (name, options = {}) {
      const { first, last, version } = options
      const header = first === undefined && last === undefined ? {} : { range: `bytes=${first ?? 0}-${last ?? ''}` }
      const params = { path: { name }, header, query: version === undefined ? {} : { version } }
      return downloadOf(await api.GET('/uploads/{name}', { parseAs: 'stream', ...initOf(options, params) }))
    },
    async zipFolder (folder = '', options) {
      return downloadOf(await api.GET('/api/zip', { parseAs: 'stream', ...initOf(options, { query: { folder } }) }))
    },
    async zip (names, options) {
      return downloadOf(await api.POST('/api/zip', { body: { names }, parseAs: 'stream', ...initOf(options) }))
    },
    list: (query = {}, options) => entriesOf('files', cursor =>
      api.GET('/api/files', initOf(options, { query: { ...query, ...cursor } }))),
    async changes (query = {}, options) {
      return bodyOf(await api.GET('/api/changes', initOf(options, { query })))
    },
    mirror: (mirror = { folders: new Map(), files: new Map(), cursor: undefined }, options) =>
      follow(api, mirror, options),
    async timeline (query = {}, options) {
      return bodyOf(await api.GET('/api/timeline', initOf(options, { query }))).months
    },
    async putThumbnail (file, picture, { takenAt, ...options } = {}) {
      const params = { ...contentOf(file), query: takenAt === undefined ? {} : { takenAt } }
      const body = blobOf(picture)
      return bodyOf(await api.PUT('/api/files/{name}/thumbnail', { body, ...initOf(options, params) }))
    },
    async thumbnail (file, options) {
      const init = initOf(options, contentOf(file))
      return bodyOf(await api.GET('/api/files/{name}/thumbnail', { parseAs: 'blob', ...init }))
    },
    async setTakenAt (file, takenAt, options) {
      const init = initOf(options, contentOf(file))
      return bodyOf(await api.PUT('/api/files/{name}/taken', { body: { takenAt }, ...init }))
    },
    async rename (name, newName, options) {
      return bodyOf(await api.PATCH('/api/files/{name}', {
        body: { name: newName }, ...initOf(options, { path: { name } })
      }))
    },
    async star (name, starred, options) {
      return bodyOf(await api.PATCH('/api/files/{name}', {
        body: { starred }, ...initOf(options, { path: { name } })
      }))
    },
    async copy (name, newName, options) {
      return bodyOf(await api.POST('/api/files/{name}/copy', {
        body: { name: newName }, ...initOf(options, { path: { name } })
      }))
    },
    async remove (name, options) {
      const query = options?.permanent === undefined ? {} : { permanent: options.permanent }
      const params = { path: { name }, header: ifMatchOf(options), query }
      bodyOf(await api.DELETE('/uploads/{name}', initOf(options, params)))
    },
    async breakLock (name, options) {
      bodyOf(await api.DELETE('/api/files/{name}/lock', initOf(options, { path: { name } })))
    },
    listFolders: (folder = '', options) => entriesOf('folders', cursor =>
      api.GET('/api/folders', initOf(options, { query: { folder, ...cursor } }))),
    async getFolder (name, options) {
      return bodyOf(await api.GET('/api/folders/{name}', initOf(options, { path: { name } })))
    },
    async createFolder (name, options) {
      return bodyOf(await api.PUT('/api/folders/{name}', initOf(options, { path: { name } })))
    },
    async moveFolder (name, newName, options) {
      return bodyOf(await api.PATCH('/api/folders/{name}', {
        body: { name: newName }, ...initOf(options, { path: { name } })
      }))
    },
    async starFolder (name, starred, options) {
      return bodyOf(await api.PATCH('/api/folders/{name}', {
        body: { starred }, ...initOf(options, { path: { name } })
      }))
    },
    async removeFolder (name, { recursive = false, permanent = false, ...options } = {}) {
      const params = { path: { name }, query: { recursive, permanent } }
      bodyOf(await api.DELETE('/api/folders/{name}', initOf(options, params)))
    },
    async breakFolderLock (name, options) {
      bodyOf(await api.DELETE('/api/folders/{name}/lock', initOf(options, { path: { name } })))
    },
    versions: (name, options) => entriesOf('versions', cursor =>
      api.GET('/api/files/{name}/versions', initOf(options, { path: { name }, query: cursor }))),
    async restoreVersion (name, id, options) {
      const params = { path: { name, id }, header: ifMatchOf(options) }
      return bodyOf(await api.POST('/api/files/{name}/versions/{id}/restore', initOf(options, params)))
    },
    trash: options => entriesOf('files', query => api.GET('/api/trash', initOf(options, { query }))),
    async restore (id, options) {
      const body = options?.name === undefined ? {} : { name: options.name }
      return bodyOf(await api.POST('/api/trash/{id}/restore', { body, ...initOf(options, { path: { id } }) }))
    },
    async restoreDeletion (deletedWith, options) {
      return bodyOf(await api.POST('/api/trash/restore', { body: { deletedWith }, ...initOf(options) }))
    },
    ...factorMethods(api),
    async claim (claim, { code, ...options } = {}) {
      const headers = code === undefined ? {} : { [CODE_HEADER]: code }
      return bodyOf(await api.POST('/api/account/claim', { body: claim, headers, ...initOf(options) }))
    },
    async connect (wanted, { onWaiting, ...options }) {
      const { id, secret, interval, ...waiting } =
        bodyOf(await api.POST('/api/connections', { body: wanted, ...initOf(options) }))
      onWaiting({ ...waiting })
      for (;;) {
        await wait(interval * 1000, options.signal)
        const init = { body: { secret }, ...initOf(options, { path: { id } }) }
        const connected = bodyOf(await api.POST('/api/connections/{id}/token', init))
        if (connected !== undefined) return connected
      }
    }
  }
}

function createApi (baseUrl: string, fetch: Fetch): Client<paths> {
  // Without the Content-Type of openapi-fetch, fetch uses that of the body.
  const api = createClient<paths>({ baseUrl, fetch, headers: { 'Content-Type': null }, bodySerializer: writeBody })
  api.use({ onRequest: ({ params }) => refuseDots(Object.values(params.path ?? {})) })
  return api
}

/**
 * Uploads a file by a link of `createUploadLink`, without a credential: contents over 8 MiB in an upload that continues
 * as `putResumable` does, also with the `id` of an earlier one. A link stores one file, once: a 404 after a lost
 * response can mean that it has.
 */
export async function uploadByLink (
  { url, fileName: name }: UploadLink, content: Content,
  { fetch: send = globalThis.fetch, ...options }: LinkUploadOptions = {}
): Promise<SharedUploadResult> {
  const [, baseUrl = '', secret = ''] = /^(.*)\/s\/([^/]+)$/.exec(url) ?? []
  const fetch = keeping(send)
  const api = createApi(baseUrl, fetch)
  const bytes = blobOf(content, name)
  return withOwnSignal(options, async options => {
    if (bytes.size > MAX_PLAIN_BYTES || options.id !== undefined) {
      return retried(resumableUpload<SharedUploadResult>({
        api,
        fetch,
        bytes,
        options,
        path: '/s/{secret}/uploads/{id}',
        secret,
        create: (body, header, init) => api.POST('/s/{secret}/uploads', {
          body, ...initOf(init, { path: { secret }, header: { ...header, ...dispositionOf(name) } })
        })
      }), options)
    }
    const params = { path: { secret, name }, header: modificationOf(bytes) }
    const init = { body: bytes, ...initOf(options, params), ...progressOf(fetch, bytes, options) }
    return bodyOf(await api.PUT('/s/{secret}/files/{name}', init))
  })
}

/** The methods of second factors. */
function factorMethods (api: Client<paths>) {
  return {
    async getSecondFactor (options) {
      return bodyOf(await api.GET('/api/second-factor', initOf(options)))
    },
    async setUpTotp (options) {
      return bodyOf(await api.POST('/api/second-factor/totp', initOf(options)))
    },
    async confirmTotp (code, { sessionId, ...options } = {}) {
      const body = { code, ...(sessionId !== undefined && { sessionId }) }
      return bodyOf(await api.PUT('/api/second-factor/totp', { body, ...initOf(options) })).recoveryCodes
    },
    async removeTotp (options) {
      bodyOf(await api.DELETE('/api/second-factor/totp', initOf(options)))
    },
    async createRecoveryCodes (options) {
      return bodyOf(await api.POST('/api/second-factor/recovery-codes', initOf(options))).recoveryCodes
    },
    async getPasskeyOptions (options) {
      return bodyOf(await api.POST('/api/passkeys/options', initOf(options)))
    },
    async createPasskey (name, credential, { sessionId, ...options } = {}) {
      const body = { name, credential, ...(sessionId !== undefined && { sessionId }) }
      return bodyOf(await api.POST('/api/passkeys', { body, ...initOf(options) }))
    },
    async removePasskey (id, options) {
      bodyOf(await api.DELETE('/api/passkeys/{id}', initOf(options, { path: { id } })))
    },
    async getConfirmOptions ({ secret, ...options } = {}) {
      if (secret === undefined) return bodyOf(await api.POST('/api/passkeys/confirm/options', initOf(options)))
      return bodyOf(await api.POST('/api/account/claim/confirm/options', { body: { secret }, ...initOf(options) }))
    },
    async confirm (credential, { secret, ...options } = {}) {
      const { code } = bodyOf(secret === undefined
        ? await api.POST('/api/passkeys/confirm', { body: { credential }, ...initOf(options) })
        : await api.POST('/api/account/claim/confirm', { body: { secret, credential }, ...initOf(options) }))
      return code
    },
    async getSignInOptions (options) {
      return bodyOf(await api.POST('/api/session/passkey/options', initOf(options)))
    },
    async signIn (credential, options) {
      return bodyOf(await api.POST('/api/session/passkey', { body: { credential }, ...initOf(options) }))
    }
  } satisfies Partial<MagicStore>
}

/** What an operation resolves to. */
interface Answer<Body> { data?: Body, error?: unknown, response: Response }

type Page<Name extends string, Entry> = Record<Name, Entry[]> & { next: string | null }

/** The entries of all pages of a list, which responses call `name`. Each page is requested when it is needed. */
async function * entriesOf<Name extends string, Entry> (
  name: Name, request: (query: { cursor?: string }) => Promise<Answer<Page<Name, Entry>>>
): AsyncGenerator<Entry, void, undefined> {
  let next: string | null = null
  do {
    const page: Page<Name, Entry> = bodyOf(await request(next === null ? {} : { cursor: next }))
    yield * page[name]
    next = page.next
  } while (next !== null)
}

/** Follows the changes as the OpenAPI document describes. */
async function * follow (
  api: Client<paths>, mirror: Mirror, options: RequestOptions | undefined
): AsyncGenerator<MirrorUpdate, void, undefined> {
  let update: MirrorUpdate | undefined = { mirror, changed: new Set(), reason: undefined }
  for (;;) {
    const position = mirror.cursor === undefined ? {} : { cursor: mirror.cursor }
    const query = { limit: MAX_PAGE_ENTRIES, wait: update === undefined ? WAIT_SECONDS : 0, ...position }
    const { changes, next, reason } = bodyOf(await api.GET('/api/changes', initOf(options, { query })))
    if (reason !== undefined) await listInto(api, mirror, options)
    for (const change of changes) apply(mirror, change)
    mirror.cursor = next
    if (reason !== undefined || changes.length > 0) {
      update ??= { mirror, changed: new Set(), reason: undefined }
      update.reason ??= reason
      for (const { id } of changes) update.changed.add(id)
    } else if (update !== undefined) {
      yield update
      update = undefined
    }
  }
}

/** Replaces the copy with the listings, once they are complete. */
async function listInto (
  api: Client<paths>, { folders, files }: Mirror, options: RequestOptions | undefined
): Promise<void> {
  const limit = MAX_PAGE_ENTRIES
  const allFolders = await collect(entriesOf('folders', cursor =>
    api.GET('/api/folders', initOf(options, { query: { all: true, limit, ...cursor } }))))
  const allFiles = await collect(entriesOf('files', cursor =>
    api.GET('/api/files', initOf(options, { query: { limit, ...cursor } }))))
  folders.clear()
  files.clear()
  for (const folder of allFolders) folders.set(folder.id, folder)
  for (const file of allFiles) files.set(file.id, file)
}

async function collect<Entry> (entries: AsyncIterable<Entry>): Promise<Entry[]> {
  const all: Entry[] = []
  for await (const entry of entries) all.push(entry)
  return all
}

function apply ({ folders, files }: Mirror, { id, file, folder }: ChangeList['changes'][number]): void {
  if (file !== undefined) files.set(id, file)
  else if (folder !== undefined) folders.set(id, folder)
  else if (!files.delete(id)) folders.delete(id)
}

/** The path of a file or folder of a mirror. */
export function pathOf (mirror: Pick<Mirror, 'folders'>, entry: StoredFile | Folder): string {
  const parentId = 'folderId' in entry ? entry.folderId : entry.parentId
  const parent = parentId === null ? undefined : mirror.folders.get(parentId)
  const name = entry.name.slice(entry.name.lastIndexOf('/') + 1)
  return parent === undefined ? name : `${pathOf(mirror, parent)}/${name}`
}

/** Returns the body of a success; throws a MagicStoreError otherwise. */
export function bodyOf<Body> ({ data, error, response }: Answer<Body>): Body {
  if (!response.ok) throw new MagicStoreError(response.status, error, response.headers)
  return data as Body
}

function downloadOf (answer: Answer<ReadableStream<Uint8Array> | null>): Download {
  return { stream: bodyOf(answer) ?? new Blob([]).stream(), response: answer.response }
}

/** The value of an Authorization header: Basic (RFC 7617) or Bearer (RFC 6750). */
export function authorizationOf (credentials: Password | { token: string }): string {
  if ('token' in credentials) return `Bearer ${credentials.token}`
  const bytes = new TextEncoder().encode(`${credentials.username}:${credentials.password}`)
  return `Basic ${btoa(String.fromCharCode(...bytes))}`
}

/** What a request needs besides its body: the parameters of its operation, and the signal of the call. */
function initOf<const Params = Record<never, never>> (
  { signal }: RequestOptions = {}, params = {} as Params
): { params: Params, signal?: AbortSignal } {
  return { params, ...(signal && { signal }) }
}

/** The parameters of a request about the content of a file. */
function contentOf ({ name, sha256 }: Pick<StoredFile, 'name' | 'sha256'>) {
  return { path: { name }, header: { 'if-match': `"${sha256}"` } }
}

function ifMatchOf ({ ifMatch }: { ifMatch?: string | undefined } = {}): { 'if-match'?: string } {
  return ifMatch === undefined ? {} : { 'if-match': ifMatch }
}

function preconditionOf (options: PutOptions = {}): { 'if-match'?: string, 'if-none-match'?: string } {
  return { ...ifMatchOf(options), ...(options.ifNoneMatch !== undefined && { 'if-none-match': options.ifNoneMatch }) }
}

/** When a `File` was last changed; undefined for other content and for years that RFC 3339 can't express. */
function modifiedAtOf (content: Content): string | undefined {
  const time = content instanceof File ? new Date(content.lastModified) : undefined
  const year = time?.getUTCFullYear() ?? NaN
  return year >= 0 && year <= 9999 ? time?.toISOString() : undefined
}

function modificationOf (content: Content): { 'x-file-modified'?: string } {
  const modifiedAt = modifiedAtOf(content)
  return modifiedAt === undefined ? {} : { 'x-file-modified': modifiedAt }
}

/** The name of a file in a header (RFC 8187 section 3.2.1). */
function dispositionOf (name: string): { 'content-disposition': string } {
  const escape = (character: string) => `%${character.charCodeAt(0).toString(16)}`
  const text = encodeURIComponent(name).replace(/['()*]/g, escape)
  return { 'content-disposition': `attachment; filename*=UTF-8''${text}` }
}

/**
 * The bytes to store. A string is encoded as UTF-8. Without a type, the server chooses one by the extension of the
 * name; a string under a name without an extension is `text/plain`.
 * @throws TypeError for anything else, which would be stored as JSON.
 */
function blobOf (content: Content, name = ''): Blob {
  if (content instanceof Blob) return content
  const type = name.includes('.') ? '' : 'text/plain;charset=utf-8'
  if (typeof content === 'string') return new Blob([content], { type })
  if (content instanceof ArrayBuffer || ArrayBuffer.isView(content)) return new Blob([content as ArrayBuffer])
  throw new TypeError('a file must be a Blob, a string, an ArrayBuffer or a view of one')
}

/**
 * Runs a call with its own signal, which aborts when the caller's does. Requests add listeners to their signal that can
 * stay as long as it does: with a long-lived signal of the caller, the file of each upload would stay in memory.
 */
async function withOwnSignal<Options extends RequestOptions, Result> (
  options: Options, call: (options: Options) => Promise<Result>
): Promise<Result> {
  const { signal } = options
  if (signal === undefined) return call(options)
  const own = new AbortController()
  const abort = () => own.abort(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  return call({ ...options, signal: own.signal }).finally(() => signal.removeEventListener('abort', abort))
}

/** An operation that can be retried. */
interface Attempts<Result> {
  attempt (): Promise<Result>
  /** Bytes that earlier attempts stored. */
  storedBytes (): number
}

interface CreationHeader { 'x-file-modified'?: string, 'upload-length'?: string, 'upload-complete': string }

interface ResumableUpload {
  api: Client<paths>
  fetch: Fetch
  bytes: Blob
  options: ResumableOptions
  create (body: Blob, header: CreationHeader, options: RequestOptions): Promise<Answer<unknown>>
  /** Where the upload is: of an account, or of the link with this secret. */
  path: '/api/uploads/{id}' | '/s/{secret}/uploads/{id}'
  secret?: string
}

/**
 * Each attempt asks for the offset and sends the rest (draft-ietf-httpbis-resumable-upload). If all bytes are stored,
 * the server responds with the file.
 */
function resumableUpload<Stored> (
  { api, fetch, bytes, options, path, secret = '', ...endpoint }: ResumableUpload
): Attempts<Stored> {
  const { onProgress, onCreated } = options
  let { id } = options
  let offset = 0

  async function create (init: RequestOptions): Promise<string> {
    // An upload with a length of 0 would be complete: the response would have the file, and no id.
    const length = bytes.size > 0 && { 'upload-length': String(bytes.size) }
    const header = { ...modificationOf(bytes), ...length, 'upload-complete': '?0' }
    const created = await endpoint.create(new Blob([], { type: bytes.type }), header, init)
    bodyOf(created)
    return created.response.headers.get('location')?.split('/').at(-1) ?? ''
  }

  /** After an abort, nobody gets the id of an upload that the server still creates: it is ended when the id arrives. */
  async function createFor ({ signal }: RequestOptions): Promise<string> {
    if (signal === undefined) return create({})
    signal.throwIfAborted()
    const own = new AbortController()
    const created = create({ signal: own.signal })
    const end = async (id: string) => api.DELETE(path, initOf(own, { path: { secret, id } }))
    return orAborted(created, signal).catch((error: unknown) => {
      const timer = setTimeout(() => own.abort(), LATE_ANSWER_MS)
      void created.then(end).catch(() => {}).finally(() => clearTimeout(timer))
      throw error
    })
  }

  return {
    storedBytes: () => offset,
    async attempt () {
      if (id === undefined) {
        id = await createFor(options)
        onCreated?.(id)
      }
      const init = initOf(options, { path: { secret, id } })
      const head = await api.HEAD(path, init)
      // The response to HEAD has no body that says which lock refuses the file.
      if (head.response.status === 423) bodyOf(await api.GET(path, init))
      bodyOf(head)
      offset = Number(head.response.headers.get('upload-offset'))
      const rest = bytes.slice(offset, bytes.size, 'application/partial-upload')
      onProgress?.(offset, bytes.size)
      const report = onProgress && ((sentBytes: number) => onProgress(offset + sentBytes, bytes.size))
      const params = { path: { secret, id }, header: { 'upload-offset': String(offset), 'upload-complete': '?1' } }
      const progress = progressOf(fetch, rest, { onProgress: report })
      const sent = await api.PATCH(path, { body: rest, ...initOf(options, params), ...progress })
      // With `Upload-Complete: ?1`, a success is never a 204, which has no body.
      return bodyOf(sent) as Stored
    }
  }
}

/**
 * The result of the first attempt that succeeds. An attempt that stores bytes before it fails resets the count of
 * failures and the wait.
 */
async function retried<Result> (
  { attempt, storedBytes }: Attempts<Result>, { signal, onRetry }: ResumableOptions
): Promise<Result> {
  let failures = 0
  let knownBytes = 0
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (storedBytes() > knownBytes) failures = 0
      knownBytes = storedBytes()
      signal?.throwIfAborted()
      if (!isTransient(error) || failures === RETRIES) throw error
      onRetry?.(error)
      // At random, so that clients that lost the same server don't come back at the same time.
      await wait(Math.min(FIRST_WAIT_MS * 2 ** failures, MAX_WAIT_MS) * (0.5 + Math.random() / 2), signal)
      failures++
    }
  }
}

/** fetch throws a TypeError for a network error. `name_taken` is a 409 that stays. */
function isTransient (error: unknown): boolean {
  if (!(error instanceof MagicStoreError)) return error instanceof TypeError
  if (error.code === 'name_taken') return false
  return error.status >= 500 || TRANSIENT_STATUSES.includes(error.status)
}

async function wait (ms: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const over = new Promise<void>(resolve => { timer = setTimeout(resolve, ms) })
  await (signal === undefined ? over : orAborted(over, signal)).finally(() => clearTimeout(timer))
}

/** The request and the response of each stream that is being read. */
const kept = new WeakMap<ReadableStream, { request: Request, response: Response }>()

/**
 * Keeps a request and its response while its stream is read. Otherwise they are garbage-collected in Node: without
 * the request, its signal aborts nothing, and without the response, the stream ends early as if it were complete.
 */
function keeping (fetch: Fetch): Fetch {
  return async request => {
    const response = await fetch(request)
    if (response.body !== null) kept.set(response.body, { request, response })
    return response
  }
}

/**
 * fetch removes `.` and `..` from a path, also percent-encoded, so that another operation would answer. No file has
 * such a name.
 */
function refuseDots (values: unknown[]): Response | undefined {
  if (!values.some(value => value === '.' || value === '..')) return undefined
  return Response.json({ status: 400, code: 'name_invalid', detail: 'A name is not . or ..' }, { status: 400 })
}

/** Adds the code to requests that take the password. Each code is sent once. */
function withCodes (fetch: Fetch, credentials: Credentials = { token: '' }): Fetch {
  if (!('password' in credentials)) return fetch
  const given = authorizationOf(credentials)
  let { code, onCode } = credentials
  return async request => {
    if (request.headers.get('authorization') !== given || request.headers.has(CODE_HEADER)) return fetch(request)
    const repeated = onCode && request.clone()
    if (code !== undefined) request.headers.set(CODE_HEADER, code)
    code = undefined
    const response = await fetch(request)
    if (onCode === undefined || repeated === undefined || !await isCodeRequired(response)) return response
    repeated.headers.set(CODE_HEADER, await orAborted(Promise.resolve(onCode()), request.signal))
    return fetch(repeated)
  }
}

/** Whether the password is right, and a code is missing. */
async function isCodeRequired (response: Response): Promise<boolean> {
  const body: unknown = response.status === 401 ? await response.clone().json().catch(() => undefined) : undefined
  return isProblem(body) && body.code === 'second_factor_required'
}

/** Adds the Authorization header to each request that needs one and has none. */
function authorize (api: Client<paths>, credentials: Credentials): void {
  const { headerFor, forget } = createAuthorization(api, credentials)
  api.use({
    async onRequest ({ request, schemaPath }) {
      const operation = `${request.method} ${schemaPath}`
      if (request.headers.has('authorization') || publicOperations.includes(operation)) return
      request.headers.set('authorization', await orAborted(headerFor(operation), request.signal))
    },
    onResponse ({ response }) {
      if (response.status === 401) forget()
    }
  })
}

interface Authorization { headerFor (operation: string): Promise<string>, forget (): void }

function createAuthorization (api: Client<paths>, credentials: Credentials): Authorization {
  if ('token' in credentials) return { headerFor: async () => authorizationOf(credentials), forget () {} }
  if ('issue' in credentials) return createTokens(credentials.issue)
  const given = authorizationOf(credentials)
  const issue = async () => bodyOf(await api.GET('/api/token', { headers: { authorization: given } }))
  const { headerFor, forget } = createTokens(issue)
  return { headerFor: async operation => passwordOperations.includes(operation) ? given : headerFor(operation), forget }
}

/**
 * Keeps one access token and renews it before it expires. Calls that need a new one at the same time share the request.
 */
function createTokens (issue: () => Promise<IssuedToken>): Authorization {
  let held: Promise<string> | undefined
  let renewAt = Infinity
  const forget = () => { held = undefined }

  async function renew (): Promise<string> {
    renewAt = Infinity
    const { token, duration } = await issue()
    renewAt = Date.now() + duration * 1000 * RENEWAL_SHARE
    return authorizationOf({ token })
  }

  return {
    forget,
    headerFor (): Promise<string> {
      if (held !== undefined && Date.now() < renewAt) return held
      const renewed = renew()
      held = renewed
      renewed.catch(() => { if (held === renewed) forget() })
      return renewed
    }
  }
}

/**
 * Settles as the promise does, but rejects at once if the signal aborts. The promise itself continues for other
 * callers.
 */
function orAborted<Value> (promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * Sends a file as raw bytes, an object that contains a file as a form, and any other object as JSON. Every JSON body of
 * the API is an object.
 */
function writeBody (body: unknown): Blob | FormData {
  const isFile = body instanceof Blob || body instanceof ArrayBuffer || ArrayBuffer.isView(body)
  if (isFile || typeof body !== 'object') return blobOf(body as Content)
  const fields = Object.entries(body as object)
  const isForm = fields.some(([, value]) => value instanceof Blob)
  if (!isForm) return new Blob([JSON.stringify(body)], { type: 'application/json' })
  const form = new FormData()
  for (const [field, value] of fields) form.append(field, value)
  return form
}

/** A `fetch` that reports the progress of an upload, if there is a callback for it. */
function progressOf (fetch: Fetch, file: Blob, { onProgress }: UploadOptions = {}): { fetch?: Fetch } {
  if (onProgress === undefined) return {}
  // A form is a little longer than its file.
  const report = (sentBytes: number) => onProgress(Math.min(sentBytes, file.size), file.size)
  const { XMLHttpRequest } = globalThis as unknown as { XMLHttpRequest?: new () => UploadRequest }
  // The browser reads a file while it sends it. A form exists only in the request and has to be read first.
  const bodyOfRequest = async (request: Request) => request.method === 'POST' ? request.blob() : file
  if (XMLHttpRequest !== undefined) {
    return {
      fetch: async request => sendByXhr(new XMLHttpRequest(), request, { body: await bodyOfRequest(request), report })
    }
  }
  return {
    fetch (request) {
      const body = countedStream(request.body as ReadableStream<Uint8Array>, report)
      const counted = new Request(request, { body, duplex: 'half' } as RequestInit)
      // A stream has no length; with this header, the server can refuse a file that is too large before it is sent.
      if (request.method !== 'POST') counted.headers.set('content-length', String(file.size))
      return fetch(counted)
    }
  }
}

/** The stream in small pieces, each reported when the network accepts it. */
function countedStream (
  stream: ReadableStream<Uint8Array>, report: (sentBytes: number) => void
): ReadableStream<Uint8Array> {
  const reader = stream.getReader()
  let chunk: Uint8Array = new Uint8Array()
  let sentBytes = 0
  return new ReadableStream<Uint8Array>({
    async pull (controller) {
      if (chunk.length === 0) {
        const { done, value } = await reader.read()
        if (done) return controller.close()
        chunk = value
      }
      const piece = chunk.subarray(0, PIECE_BYTES)
      chunk = chunk.subarray(PIECE_BYTES)
      sentBytes += piece.length
      controller.enqueue(piece)
      report(sentBytes)
    },
    cancel: reason => reader.cancel(reason)
  }, { highWaterMark: 0 })
}

/** The part of XMLHttpRequest that an upload uses. Only the types of a browser have all of it. */
interface UploadRequest {
  readonly upload: { onprogress: ((event: { loaded: number }) => void) | null }
  readonly status: number
  readonly response: Blob
  responseType: string
  onload: (() => void) | null
  onloadend: (() => void) | null
  onerror: (() => void) | null
  open (method: string, url: string): void
  setRequestHeader (name: string, value: string): void
  getAllResponseHeaders (): string
  send (body: Blob): void
  abort (): void
}

interface Sending { body: Blob, report: (sentBytes: number) => void }

function sendByXhr (xhr: UploadRequest, request: Request, { body, report }: Sending): Promise<Response> {
  return new Promise((resolve, reject) => {
    const abort = () => { xhr.abort(); reject(request.signal.reason) }
    if (request.signal.aborted) return abort()
    request.signal.addEventListener('abort', abort)
    xhr.onloadend = () => request.signal.removeEventListener('abort', abort)
    xhr.open(request.method, request.url)
    xhr.responseType = 'blob'
    request.headers.forEach((value, name) => xhr.setRequestHeader(name, value))
    xhr.upload.onprogress = ({ loaded }) => report(loaded)
    xhr.onload = () =>
      resolve(new Response(xhr.response, { status: xhr.status, headers: headersOf(xhr.getAllResponseHeaders()) }))
    // As fetch does after a network error.
    xhr.onerror = () => reject(new TypeError('the upload failed'))
    xhr.send(body)
  })
}

function headersOf (lines: string): [string, string][] {
  return lines.trim().split('\r\n').map(line => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
}

function isProblem (body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'code' in body && 'detail' in body
}
