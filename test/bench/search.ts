import { fileOrders } from '#src/metadata/records.ts'
import { signIn, type Bench } from './cases.ts'
import { grow } from './growth.ts'
import { openRequester } from './load.ts'
import { median, type Comparison } from './report.ts'

/** Most names that a page in an order by name searches. */
const NAMES = 100_000

/** Longest search of so many names, in milliseconds. */
const SEARCH_MILLISECONDS = 150

/** 99th percentile of others' requests meanwhile, in milliseconds. */
const OTHERS_MILLISECONDS = 50

/** Requests per median. */
const REPEATS = 20

/** What a search costs among many names, and what others feel of it. */
export async function compareSearch (
  { rounds, folder, many }: Pick<Bench, 'rounds' | 'folder'> & { many: number }
): Promise<Comparison[]> {
  const count = Math.min(many, NAMES)
  const { server, user } = await grow(folder, 'search', count)
  const headers = await signIn({ ours: server, user })
  const open = (path: string) => openRequester({ port: server.port, method: 'GET', headers, next: () => ({ path }) })
  const timeOf = async (path: string) => {
    const requester = await open(path)
    const times: number[] = []
    for (let repeat = 0; repeat < REPEATS; repeat++) {
      const sent = performance.now()
      await requester.send()
      times.push(performance.now() - sent)
    }
    requester.close()
    return median(times)
  }
  const among = `of ${count.toLocaleString('en')} names`
  const comparisons: Comparison[] = []
  for (const order of fileOrders) {
    const rare = `/api/files?order=${order}&contains=${count - 1}.j`
    const pages = []
    for (let round = 0; round < rounds; round++) pages.push({ ours: await timeOf(rare), baseline: SEARCH_MILLISECONDS })
    comparisons.push({ work: `search ${among}, ${order}`, against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: pages })
  }
  const [frequent, plain] = ['/api/files?contains=photo', '/api/files']
  const pages = []
  const waits = []
  for (let round = 0; round < rounds; round++) {
    pages.push({ ours: await timeOf(frequent), baseline: await timeOf(plain) })
    waits.push({ ours: await othersP99(open, `/api/files?order=newest&contains=${count - 1}.j`), baseline: OTHERS_MILLISECONDS })
  }
  await server.stop()
  return [
    ...comparisons,
    { work: `page of 100 that all ${among} match`, against: 'of the listing', target: { most: 10 }, unit: 'ms', rounds: pages },
    { work: 'look-up (p99) during searches', against: 'the limit', target: { most: 1 }, unit: 'ms', rounds: waits }
  ]
}

/** 99th percentile of the time of a small request while a search runs again and again. */
async function othersP99 (open: (path: string) => ReturnType<typeof openRequester>, search: string): Promise<number> {
  const [searcher, other] = [await open(search), await open('/api/files?limit=1')]
  const state = { isSearching: true }
  const searching = (async () => {
    for (let repeat = 0; repeat < REPEATS; repeat++) await searcher.send()
    state.isSearching = false
  })()
  const times: number[] = []
  while (state.isSearching) {
    const sent = performance.now()
    await other.send()
    times.push(performance.now() - sent)
  }
  await searching
  for (const requester of [searcher, other]) requester.close()
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length * 0.99)] ?? NaN
}
