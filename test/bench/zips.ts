import { GIB } from '../kit/sizes.ts'
import { signIn, SMALL, type Bench } from './cases.ts'
import { download, upload } from './load.ts'
import type { Comparison } from './report.ts'
import { interleave, MIB_PER_SECOND, MICROSECONDS, PER_GIB, rowsOf, speedOf } from './speed.ts'

/** Small files in a zip. */
const FILES = 1000

/** What a zip costs beside downloads of the same bytes: of a large file, and of small ones one after the other. */
export async function compareZips (bench: Bench): Promise<Comparison[]> {
  const { rounds, ours, bytes } = bench
  const headers = await signIn(bench)
  const target = { port: ours.port, headers }
  const names = Array.from({ length: FILES }, (_, index) => String(index))
  await upload({ ...target, method: 'PUT', path: '/uploads/large/0' }, bytes)
  for (const name of names) await upload({ ...target, method: 'PUT', path: `/uploads/small/${name}` }, SMALL.length)
  const measure = (units: number, transfer: () => Promise<unknown>) => () => speedOf(ours, async () => {
    const began = performance.now()
    await transfer()
    return { units, seconds: (performance.now() - began) / 1000 }
  })
  const zip = async (folder: string) => {
    const path = `/api/zip?folder=${folder}`
    const { headers: head } = await fetch(`http://127.0.0.1:${ours.port}${path}`, { method: 'HEAD', headers })
    return { ...target, path, bytes: Number(head.get('content-length')) }
  }
  const [large, small] = [await zip('large'), await zip('small')]
  const ofLarge = await interleave(
    rounds,
    measure(bytes / GIB, () => download(large, large.bytes)),
    measure(bytes / GIB, () => download({ ...target, path: '/uploads/large/0' }, bytes))
  )
  const ofSmall = await interleave(
    rounds,
    measure(FILES, () => download(small, small.bytes)),
    measure(FILES, async () => {
      for (const name of names) await download({ ...target, path: `/uploads/small/${name}` }, SMALL.length)
    })
  )
  for (const folder of ['large', 'small']) await fetch(`http://127.0.0.1:${ours.port}/api/folders/${folder}?recursive=true&permanent=true`, { method: 'DELETE', headers })
  return [
    ...rowsOf({ work: 'zip of 256 MiB', against: 'download of the same file', rate: { ...MIB_PER_SECOND, least: 0.5 }, cpu: { ...PER_GIB, most: 4 } }, ofLarge),
    ...rowsOf({ work: '4 KiB file in a zip', against: 'download of it', rate: { unit: '/s', least: 1 }, cpu: { ...MICROSECONDS, most: 1 } }, ofSmall)
  ]
}
