import { request as httpRequest, type ClientRequest } from 'node:http'
import type { Answer, Client } from './server.ts'

/** The field of every request by tus. */
export const TUS = { 'tus-resumable': '1.0.0' }
const BYTES = { ...TUS, 'content-type': 'application/offset+octet-stream' }

/** Begins a resumable upload by tus; resolves with its path. */
export async function beginUpload (
  client: Client, token: string, { name, length }: { name: string, length: number }
): Promise<string> {
  const headers = { ...TUS, 'upload-length': String(length), 'upload-metadata': `filename ${Buffer.from(name).toString('base64')}` }
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
  return client.send('PATCH', path, { token, headers: { ...BYTES, 'upload-offset': String(offset) }, body: bytes })
}

/** Begins an append of `length` bytes that sends only these, until it is destroyed. */
export function stall (
  client: Client, token: string, { path, offset, bytes, length }: Append & { length: number }
): ClientRequest {
  const headers = { ...BYTES, authorization: `Bearer ${token}`, 'upload-offset': String(offset), 'content-length': String(length) }
  const request = httpRequest({ host: '127.0.0.1', port: client.port, method: 'PATCH', path, agent: false, headers })
  request.on('error', () => {})
  request.write(bytes)
  return request
}
