/**
 * Speed by number of connections and file size: node --import ts-blank-space/register test/bench/curve.ts
 * Requests over 1 to 1,000 connections, and files of 0 bytes to 8 GiB, which need that much space on the disk.
 */
import { mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { MIB } from '../kit/sizes.ts'
import { signIn } from './cases.ts'
import { download, getRepeatedly, upload } from './load.ts'
import { openWorkbench, residentBytes, startMagicStore } from './servers.ts'

const CONNECTIONS = [1, 10, 100, 1000]
const SIZES = [0, 4096, MIB, 64 * MIB, 1024 * MIB, 8192 * MIB]
const SECONDS = 3

const workbench = await openWorkbench()
await mkdir(join(workbench.folder, 'data'))
const user = 'bench:correct horse battery'
const ours = await startMagicStore(join(workbench.folder, 'data', 'magicstore'), { MAX_FILE_BYTES: String(8192 * MIB) })
try {
  const [username, password] = user.split(':')
  await fetch(`http://127.0.0.1:${ours.port}/api/users`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username, password }) })
  const headers = await signIn({ ours, user })
  const resident = () => `${(residentBytes(ours.pid) / MIB).toFixed(0)} MiB`
  console.log('| connections | GET /api/resource | p99 | resident |\n|---|---|---|---|')
  for (const connections of CONNECTIONS) {
    const { perSecond, p99Milliseconds } = await getRepeatedly({ port: ours.port, path: '/api/resource', headers }, { connections, seconds: SECONDS })
    console.log(`| ${connections} | ${perSecond.toFixed(0)} /s | ${p99Milliseconds.toFixed(1)} ms | ${resident()} |`)
  }
  console.log('\n| file | upload | download | resident |\n|---|---|---|---|')
  for (const bytes of SIZES) {
    const { bavail, bsize } = await statfs(workbench.folder)
    if (bavail * bsize < bytes * 1.5) continue
    const path = `/uploads/${bytes}`
    const up = await millisecondsOf(() => upload({ port: ours.port, method: 'PUT', path, headers }, bytes))
    const down = await millisecondsOf(() => download({ port: ours.port, path, headers }, bytes))
    console.log(`| ${bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes} B`} | ${up.toFixed(1)} ms | ${down.toFixed(1)} ms | ${resident()} |`)
    await fetch(`http://127.0.0.1:${ours.port}${path}?permanent=true`, { method: 'DELETE', headers })
  }
} finally {
  await ours.stop()
  await workbench.close()
}

async function millisecondsOf (operation: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await operation()
  return performance.now() - began
}
