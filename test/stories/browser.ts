import { createMagicStore } from './sdk/client.js'

// Compiled and run in a browser by sdk.proof.ts, beside the client written to ./sdk.

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
  const put = await store.put('put.bin', bytes, { onProgress })
  const putReport = hasReportedAll()
  const form = await store.upload(bytes, 'form.bin', { onProgress })
  const formReport = hasReportedAll()
  const controller = new AbortController()
  // Progress is reported every 50 ms: by then a smaller upload may be stored.
  const huge = new Blob(Array.from({ length: 20 }, () => bytes))
  return {
    put: `${put.type} ${put.size} ${putReport}`,
    form: `${form.type} ${form.size} ${formReport}`,
    refused: await failureOf(store.upload(new Blob(['other']), 'form.bin', { onProgress })),
    aborted: await failureOf(store.put('aborted.bin', huge, { signal: controller.signal, onProgress: () => controller.abort('enough') })),
    stored: await failureOf(store.download('aborted.bin')),
    copied: copied.join(),
    unreachable: await failureOf(createMagicStore({ baseUrl: 'http://127.0.0.1:1', credentials: { token: 'x' } }).put('x', bytes, { onProgress }))
  }
}

Object.assign(globalThis, { story })
