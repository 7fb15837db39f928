import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { differences, observe, type Past } from './observation.ts'
import { runBundle, startProcess } from './server-process.ts'

/** Maximum number of fsck findings to print. */
const FINDINGS = 3

/** Starts the server on the content after a power cut, and returns what is wrong, one line each: `<kind>: <what>`. */
export async function findViolations (dataDir: string, pasts: readonly Past[]): Promise<string[]> {
  const server = await startProcess(dataDir).catch((error: Error) => error)
  if (server instanceof Error) return [`does not start: ${server.message}`]
  let fileCount = 0
  const check = async ({ user, possible }: Past): Promise<string[]> => {
    const { state } = await observe(server.url, user)
    fileCount += Array.from(state.keys()).filter(key => key.startsWith('file ')).length
    return differences(state, possible)
  }
  try {
    const wrong = (await Promise.all(pasts.map(check)).catch((error: Error) => [`does not answer: ${error.message}`])).flat()
    server.child.kill('SIGTERM')
    await server.ended
    return [...wrong, ...await leftoversIn(dataDir, fileCount), ...await inspect(dataDir)]
  } finally {
    server.child.kill('SIGKILL')
  }
}

/** Blobs that belong to no file, and that nothing will delete. */
async function leftoversIn (dataDir: string, fileCount: number): Promise<string[]> {
  const incoming = await readdir(join(dataDir, 'incoming'))
  const blobs = (await readdir(join(dataDir, 'blobs'), { recursive: true, withFileTypes: true })).filter(entry => entry.isFile())
  return [
    ...incoming.length > 0 ? [`leftover: ${incoming.length} in incoming`] : [],
    ...blobs.length > fileCount ? [`leftover: ${blobs.length} blobs of ${fileCount} files`] : []
  ]
}

async function inspect (dataDir: string): Promise<string[]> {
  const { code, text } = await runBundle(['fsck', '--deep'], dataDir)
  return code === 0 ? [] : [`fsck: exit ${code}: ${text.trim().split('\n').slice(0, FINDINGS).join('; ')}`]
}
