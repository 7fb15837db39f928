import { MagicStoreError } from 'magicstore'
import { statusOf } from '../errors.ts'
import { isTransient, refuseUnreadable } from '../uploads/obstacles.ts'
import { forgetUpload, keepUpload } from './kept-uploads.ts'
import type { Sending } from './sending.ts'
import { ask, linkAddress, onlyName, refusalOf } from './visit.ts'

/** The protocol of https://tus.io/protocols/resumable-upload. */
const TUS = { 'tus-resumable': '1.0.0' }

/** How often a file is tried again while no byte of it is stored. */
const RETRIES = 10

/** The longest wait before the first retry. It doubles with each retry, up to 30 s. */
const FIRST_WAIT_MS = 500
const MAX_WAIT_MS = 30_000

/**
 * Sends the bytes that the server does not have yet. It continues by itself after a network error, and starts again if
 * the unfinished upload is gone. An abort keeps the stored bytes.
 * @throws MagicStoreError, TypeError if the server can't be reached for long, FileUnreadable, and the reason of an
 * abort.
 */
export async function sendFile (sending: Sending, signal: AbortSignal): Promise<void> {
  let failures = 0
  for (;;) {
    const storedBytes = sending.sentBytes.peek()
    const wasBegun = sending.id !== undefined
    try {
      await attempt(sending, signal)
      return
    } catch (error) {
      signal.throwIfAborted()
      // If this attempt created the upload, the owner has ended it.
      if (statusOf(error) === 404 && wasBegun) forget(sending)
      else await refuseFinal(error, sending)
      failures = sending.sentBytes.peek() > storedBytes ? 0 : failures + 1
      if (failures > RETRIES) throw error
      sending.interruption.value = error
      sending.speed.reset()
      await wait(failures, signal)
    }
  }
}

/** Ends the unfinished upload on the server, if there is one, which frees its space. Call it only after an abort. */
export async function discard (sending: Sending): Promise<void> {
  const { id } = sending
  if (id === undefined) return
  forget(sending)
  // If this fails, the server removes it when it expires.
  await ask(`/uploads/${id}`, { method: 'DELETE', headers: TUS }).catch(() => {})
}

function forget (sending: Sending): void {
  if (sending.id !== undefined) forgetUpload(sending.id)
  sending.id = undefined
  sending.sentBytes.value = 0
}

async function attempt (sending: Sending, signal: AbortSignal): Promise<void> {
  const { file, sentBytes } = sending
  const id = sending.id ??= await create(file)
  if (file.size > 0) {
    const head = await ask(`/uploads/${id}`, { method: 'HEAD', headers: TUS, signal })
    sentBytes.value = Number(head.headers.get('upload-offset'))
    if (sentBytes.peek() < file.size) await append(sending, id, signal)
  }
  sentBytes.value = file.size
  forgetUpload(id)
}

/** Creates an upload, and resolves to its id. It can't be aborted: the server could keep an upload without its id. */
async function create (file: File): Promise<string> {
  const filename = onlyName() ?? file.name
  const metadata = { filename, filetype: file.type, lastModified: String(file.lastModified) }
  const pairs = Object.entries(metadata)
    .filter(([, value]) => value !== '').map(([key, value]) => `${key} ${base64(value)}`)
  const { headers } = await ask('/uploads', {
    method: 'POST', headers: { ...TUS, 'upload-length': String(file.size), 'upload-metadata': pairs.join(',') }
  })
  const id = headers.get('location')?.split('/').at(-1) ?? ''
  keepUpload(id, file)
  return id
}

/** Sends the rest by XMLHttpRequest, because `fetch` reports no progress. */
function append ({ file, sentBytes, speed, interruption }: Sending, id: string, signal: AbortSignal): Promise<void> {
  const offset = sentBytes.peek()
  const request = new XMLHttpRequest()
  const abort = () => request.abort()
  return new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', abort)
    request.open('PATCH', `${linkAddress}/uploads/${id}`)
    const headers = { ...TUS, 'content-type': 'application/offset+octet-stream', 'upload-offset': String(offset) }
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded }) => {
      interruption.value = undefined
      sentBytes.value = offset + loaded
      speed.measure(offset + loaded, performance.now())
    }
    request.onload = () => { if (request.status < 300) resolve(); else refusal(request).then(reject, reject) }
    request.onabort = () => reject(signal.reason)
    request.onerror = () => reject(new TypeError('the upload failed'))
    request.send(file.slice(offset))
  }).finally(() => signal.removeEventListener('abort', abort))
}

function refusal (request: XMLHttpRequest): Promise<MagicStoreError> {
  const retryAfter = request.getResponseHeader('retry-after')
  const headers = retryAfter === null ? {} : { 'retry-after': retryAfter }
  return refusalOf(new Response(request.responseText, { status: request.status, headers }))
}

/** @throws an error that the next attempt would get, too. */
async function refuseFinal (error: unknown, { file }: Sending): Promise<void> {
  if (!isTransient(error)) throw error
  if (!(error instanceof MagicStoreError)) await refuseUnreadable(file)
}

async function wait (failures: number, signal: AbortSignal): Promise<void> {
  // At random, so that visitors who lost the same server don't come back at the same time.
  const ms = Math.min(FIRST_WAIT_MS * 2 ** failures, MAX_WAIT_MS) * (0.5 + Math.random() / 2)
  const ended = new AbortController()
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, ms)
    const abort = () => {
      clearTimeout(timer)
      resolve()
    }
    signal.addEventListener('abort', abort, { signal: ended.signal })
  })
  ended.abort()
  signal.throwIfAborted()
}

/** UTF-8 in Base64. */
function base64 (text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), byte => String.fromCharCode(byte)).join(''))
}
