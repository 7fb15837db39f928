import { setImmediate as turn } from 'node:timers/promises'
import type { Test } from 'tap'
import {
  sharedServer, signUp, startServer, type Answer, type Client, type RunningServer, type SendOptions, type Settings
} from './server.ts'
import { runSql } from './stores.ts'

export interface ListedVersion {
  id: string
  size: number
  type: string
  sha256: string
  createdAt: string
  modifiedAt: string | null
  replacedAt: string
  expiresAt: string
}
export interface ListedFile {
  id: string
  name: string
  size: number
  type: string
  sha256: string
  modifiedAt: string | null
  deletedAt: string
  deletedWith: string | null
  expiresAt: string
  versions: number
}

type Query = Record<string, string>

export type KeptAccount = ReturnType<typeof accountOf>

/** A server of the test, with a signed-in user. */
export async function openAccount (t: Test, settings: Settings = {}) {
  return joinServer(await startServer(t, { RATE_LIMIT_PER_MINUTE: '0', ...settings }), 'anna')
}

/** An account of its own on the server that the tests of this file share. */
export async function shareAccount (settings: Settings = {}) {
  return joinServer(await sharedServer(settings))
}

async function joinServer (server: RunningServer, username?: string) {
  const { id, user, token } = await signUp(server, username)
  return { ...accountOf(server, token), id, user, token, server, dataDir: server.dataDir }
}

/** Gives an account quotas of its own. */
export async function setQuotas (
  { id, dataDir }: { id: number, dataDir: string }, quotas: { bytes?: number, files?: number }
): Promise<void> {
  await runSql(dataDir, `UPDATE accounts SET quota_bytes = ${quotas.bytes ?? 'NULL'}, quota_files = ${quotas.files ?? 'NULL'} WHERE id = ${id}`)
}

/** What an account does with files, folders, versions and the trash. */
export function accountOf (client: Client, token: string) {
  const send = (method: string, path: string, options: SendOptions = {}) =>
    client.send(method, path, { token, ...options })
  /** What is changed one after the other has different times. */
  async function change (...request: Parameters<typeof send>): Promise<Answer> {
    const answer = await send(...request)
    for (const now = Date.now(); Date.now() <= now;) await turn()
    return answer
  }
  const listVersions = (name: string, query: Query = {}) => send('GET', `${metadataPath(name)}/versions?${new URLSearchParams(query)}`)
  const listTrash = (query: Query = {}) => send('GET', `/api/trash?${new URLSearchParams(query)}`)
  const restore = (name: string, id: string, headers: Record<string, string> = {}) => change('POST', `${metadataPath(name)}/versions/${id}/restore`, { headers })
  const list = (query: Query = {}) => send('GET', `/api/files?${new URLSearchParams(query)}`)
  const listFolders = (query: Query = {}) => send('GET', `/api/folders?${new URLSearchParams(query)}`)
  const restoreFile = (id: string, json?: unknown) => change('POST', `/api/trash/${id}/restore`, json === undefined ? {} : { json })
  return {
    send,
    put: (name: string, body: string | Uint8Array = name, headers: Record<string, string> = {}) => change('PUT', bytesPath(name), { body, headers }),
    get: (name: string, query: Query = {}, headers: Record<string, string> = {}) => send('GET', `${bytesPath(name)}?${new URLSearchParams(query)}`, { headers }),
    metadata: (name: string) => send('GET', metadataPath(name)),
    rename: (name: string, newName: unknown) => change('PATCH', metadataPath(name), { json: { name: newName } }),
    remove: (name: string, query: Query = {}, headers: Record<string, string> = {}) => change('DELETE', `${bytesPath(name)}?${new URLSearchParams(query)}`, { headers }),
    list,
    /** The names of all files of a listing. */
    names: (query: Query = {}) => namesIn(list, query),
    listFolders,
    folders: (folder = '', query: Query = {}) => namesIn(listFolders, { folder, ...query }),
    getFolder: (name: string) => send('GET', folderPath(name)),
    folderUsage: (name: string) => send('GET', `${folderPath(name)}/usage`),
    make: (name: string) => send('PUT', folderPath(name)),
    move: (name: string, newName: unknown) => send('PATCH', folderPath(name), { json: { name: newName } }),
    removeFolder: (name: string, query: Query = {}) => send('DELETE', `${folderPath(name)}?${new URLSearchParams(query)}`),
    restoreDeletion: (deletedWith: unknown) => send('POST', '/api/trash/restore', { json: { deletedWith } }),
    listVersions,
    listTrash,
    /** Empty if there is no such file. */
    versions: async (name: string): Promise<ListedVersion[]> => (await listVersions(name, { limit: '1000' })).json.versions ?? [],
    trash: async (): Promise<ListedFile[]> => (await listTrash({ limit: '1000' })).json.files,
    restore,
    restoreFile,
    removeVersion: (name: string, id: string) => send('DELETE', `${metadataPath(name)}/versions/${id}`),
    removeFromTrash: (id: string) => send('DELETE', `/api/trash/${id}`),
    emptyTrash: () => send('DELETE', '/api/trash'),
    /** The bytes of the versions of a file, in their order. */
    texts: async (name: string): Promise<string[]> => {
      const { json: { versions } } = await listVersions(name, { limit: '1000' })
      return Promise.all(versions.map(async ({ id }: ListedVersion) => (await send('GET', `${bytesPath(name)}?version=${id}`)).text))
    },
    usage: async () => (await send('GET', '/api/account')).json.usage as { files: number, folders: number, bytes: number, keptBytes: number, uploadBytes: number }
  }
}

/** Every name of a listing of files or folders, read page by page. */
export async function namesIn (list: (query: Query) => Promise<Answer>, query: Query): Promise<string[]> {
  const names: string[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const { json }: Answer = await list({ ...query, ...(cursor !== '' && { cursor }) })
    names.push(...(json.files ?? json.folders).map(({ name }: { name: string }) => name))
    cursor = json.next
  }
  return names
}

export function bytesPath (name: string): string {
  return `/uploads/${encodeURIComponent(name)}`
}

export function folderPath (name: string): string {
  return `/api/folders/${encodeURIComponent(name)}`
}

export function metadataPath (name: string): string {
  return `/api/files/${encodeURIComponent(name)}`
}
