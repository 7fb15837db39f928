import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../kit/commands.ts'
import { sha256Of } from '../kit/digests.ts'
import { differences, observe, type Past } from './observation.ts'
import { startProcess } from './server-process.ts'
import { appendTo, basic, namesOf, request, uploadBytes, type UserState } from './user.ts'

/** Maximum number of fsck findings to print. */
const FINDINGS = 3

/** Starts the server on the content after a power cut, and returns what is wrong, one line each: `<kind>: <what>`. */
export async function findViolations (dataDir: string, pasts: readonly Past[]): Promise<string[]> {
  const server = await startProcess(dataDir).catch((error: Error) => error)
  if (server instanceof Error) return [`does not start: ${server.message}`]
  let blobCount = 0
  const check = async ({ user, possible }: Past): Promise<string[]> => {
    const { state } = await observe(server.url, user)
    const uploads = namesOf(state, 'upload ')
    const versions = namesOf(state, 'version ').map(name => Number(state.get(`version ${name}`)))
    const trash = namesOf(state, 'trash ').map(name => 1 + Number(state.get(`trash ${name}`)?.split(' ')[1]))
    blobCount += namesOf(state, 'file ').length + uploads.length + [...versions, ...trash].reduce((sum, count) => sum + count, 0)
    const wrong = differences(state, possible)
    for (const name of uploads) wrong.push(...await finishUpload(server.url, { state, name }))
    return wrong
  }
  try {
    const wrong = (await Promise.all(pasts.map(check)).catch((error: Error) => [`does not answer: ${error.message}`])).flat()
    server.child.kill('SIGTERM')
    await server.ended
    return [...wrong, ...await leftoversIn(dataDir, blobCount), ...await inspect(dataDir)]
  } finally {
    server.child.kill('SIGKILL')
  }
}

/** Appends the bytes that an upload misses; the file must have those from before the power cut, too. */
async function finishUpload (url: string, { state, name }: { state: UserState, name: string }): Promise<string[]> {
  const bytes = uploadBytes(name)
  const credential = basic(state.get('username'), state.get('password'))
  const offset = Number(state.get(`upload ${name}`))
  const { status } = await appendTo(url, { name, credential, offset, bytes: bytes.subarray(offset) })
  if (status !== 204) return [`does not go on: upload ${name} at ${offset} is ${status}`]
  const file = await request(`${url}/uploads/${name}`, 'GET', { credential })
  return file.status === 200 && sha256Of(file.bytes) === sha256Of(bytes) ? [] : [`changed: the bytes of upload ${name} before ${offset}`]
}

/** Blobs that belong to nothing, and that nothing will delete. */
async function leftoversIn (dataDir: string, blobCount: number): Promise<string[]> {
  const incoming = await readdir(join(dataDir, 'incoming'))
  const blobs = (await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  return [
    ...incoming.length > 0 ? [`leftover: ${incoming.length} in incoming`] : [],
    ...blobs.length > blobCount ? [`leftover: ${blobs.length} blobs instead of ${blobCount}`] : []
  ]
}

async function inspect (dataDir: string): Promise<string[]> {
  const { code, stdout, stderr } = await runCommand(['fsck', '--deep'], { DATA_DIR: dataDir })
  return code === 0 ? [] : [`fsck: exit ${code}: ${`${stdout}${stderr}`.trim().split('\n').slice(0, FINDINGS).join('; ')}`]
}
