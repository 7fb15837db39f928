import { createMagicStore } from './sdk/client.js'

// Compiled and run in a browser by sdk.check.ts, beside the client written to ./sdk.

async function story (baseUrl: string): Promise<Record<string, string>> {
  const credentials = { username: 'ann', password: 'correct horse battery' }
  const store = createMagicStore({ baseUrl, credentials })
  await store.register(credentials)
  const bytes = new Blob([new Uint8Array(20 * 1024 ** 2)], { type: 'application/x-story' })
  const reports: number[] = []
  const onProgress = (sentBytes: number) => { reports.push(sentBytes) }
  const hasReportedAll = () => reports.splice(0).at(-1) === bytes.size
  const failureOf = async (promise: Promise<unknown>) => promise.then(() => 'none', error => error.code ?? error.name ?? error)
  const copied: string[] = []
  const { blob } = Request.prototype
  Request.prototype.blob = function () { copied.push(this.method); return blob.call(this) }
  const counts = countListeners()
  const lasting = { onProgress, signal: new AbortController().signal }
  await store.put('small.txt', 'text', lasting)
  await store.putResumable('small.txt', new Uint8Array([65]), lasting)
  await store.upload(new Blob(['A']), 'small.txt', lasting)
  await failureOf(store.upload(new Blob(['other']), 'small.txt', lasting))
  reports.length = 0
  const listeners = counts()
  copied.length = 0
  const put = await store.put('put.bin', bytes, { onProgress })
  const putReport = hasReportedAll()
  const form = await store.upload(bytes, 'form.bin', { onProgress })
  const formReport = hasReportedAll()
  const controller = new AbortController()
  // Progress is reported every 50 ms: by then a smaller upload may be stored.
  const huge = new Blob(Array.from({ length: 20 }, () => bytes))
  return {
    listeners: `${listeners.added > 0} ${listeners.left}`,
    put: `${put.type} ${put.size} ${putReport}`,
    form: `${form.type} ${form.size} ${formReport}`,
    refused: await failureOf(store.upload(new Blob(['other']), 'form.bin', { onProgress })),
    aborted: await failureOf(store.put('aborted.bin', huge, { signal: controller.signal, onProgress: () => controller.abort('enough') })),
    stored: await failureOf(store.download('aborted.bin')),
    copied: copied.join(),
    unreachable: await failureOf(createMagicStore({ baseUrl: 'http://127.0.0.1:1', credentials: { token: 'x' } }).put('x', bytes, { onProgress }))
  }
}

/** Counts the listeners that are added to signals, and those that are left. */
function countListeners (): () => { added: number, left: number } {
  const { addEventListener, removeEventListener } = EventTarget.prototype
  const counts = { added: 0, left: 0 }
  const count = (target: EventTarget, change: 1 | -1) => {
    if (!(target instanceof AbortSignal)) return
    counts.left += change
    counts.added += Math.max(change, 0)
  }
  EventTarget.prototype.addEventListener = function (...args) {
    count(this, 1)
    addEventListener.apply(this, args)
  }
  EventTarget.prototype.removeEventListener = function (...args) {
    count(this, -1)
    removeEventListener.apply(this, args)
  }
  return () => {
    Object.assign(EventTarget.prototype, { addEventListener, removeEventListener })
    return counts
  }
}

Object.assign(globalThis, { story })
