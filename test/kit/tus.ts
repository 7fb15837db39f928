import { once } from 'node:events'
import { request as httpRequest, type ClientRequest } from 'node:http'
import { Readable } from 'node:stream'
import type { Answer, Client, SendOptions } from './server.ts'

/** The field of every request by tus. */
export const TUS = { 'tus-resumable': '1.0.0' }

/** The fields of bytes that are appended, by tus and by the draft. */
export const TUS_BYTES = { ...TUS, 'content-type': 'application/offset+octet-stream' }
export const DRAFT_BYTES = { 'content-type': 'application/partial-upload' }

export type Headers = NonNullable<SendOptions['headers']>
export type Body = NonNullable<SendOptions['body']>

export const base64 = (text: string) => Buffer.from(text).toString('base64')
export const named = (name: string) => ({ 'upload-metadata': `filename ${base64(name)}` })

/** The id of an upload that was created. */
export const idOf = ({ headers }: Answer): string => String(headers.location).split('/').at(-1) ?? ''

/** What a response says about the upload: offset, length and completeness. */
export const stateOf = ({ status, headers }: Answer) => [status, headers['upload-offset'], headers['upload-length'], headers['upload-complete']]

/** A body without a length. */
export const chunked = (...texts: string[]) => Readable.from(texts.map(text => Buffer.from(text)))

export interface Sending {
  readonly request: ClientRequest
  readonly answered: Promise<Pick<Answer, 'status' | 'headers'> & { code: string } | 'cut'>
}

/** Begins a request whose body goes on. */
export function beginRequest (
  { port }: Client, method: string, path: string, headers: Record<string, string>
): Sending {
  const request = httpRequest({ host: '127.0.0.1', port, method, path, agent: false, headers })
  const answered = once(request, 'response').then(async ([response]) => {
    const text = Buffer.concat(await response.toArray()).toString()
    return { status: response.statusCode ?? 0, headers: response.headers, code: text === '' ? '' : JSON.parse(text).code }
  }).catch(() => 'cut' as const)
  request.on('error', () => {}).flushHeaders()
  return { request, answered }
}

/** Begins a resumable upload by tus; resolves with its path. */
export async function beginUpload (
  client: Client, token: string, { name, length }: { name: string, length: number }
): Promise<string> {
  const headers = { ...TUS, ...named(name), 'upload-length': String(length) }
  const { status, headers: { location } } = await client.send('POST', '/api/uploads', { token, headers })
  if (status !== 201) throw new Error(`an upload was not created: ${status}`)
  return new URL(String(location)).pathname
}

/** The offset on stable storage. */
export async function offsetOf (client: Client, token: string, path: string): Promise<number> {
  const { status, headers } = await client.send('HEAD', path, { token, headers: TUS })
  if (status !== 200) throw new Error(`the offset of ${path} was answered with ${status}`)
  return Number(headers['upload-offset'])
}

interface Append { readonly path: string, readonly offset: number, readonly bytes: Uint8Array }

export function append (client: Client, token: string, { path, offset, bytes }: Append): Promise<Answer> {
  return client.send('PATCH', path, { token, headers: { ...TUS_BYTES, 'upload-offset': String(offset) }, body: bytes })
}

/** Begins an append of `length` bytes that sends only these, until it is destroyed. */
export function stall (
  client: Client, token: string, { path, offset, bytes, length }: Append & { length: number }
): ClientRequest {
  const headers = { ...TUS_BYTES, authorization: `Bearer ${token}`, 'upload-offset': String(offset), 'content-length': String(length) }
  const { request } = beginRequest(client, 'PATCH', path, headers)
  request.write(bytes)
  return request
}
