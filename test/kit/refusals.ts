import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { Test } from 'tap'
import type { Answer, Client } from './server.ts'

/** Asserts the status and the code of a problem. */
export function refused (t: Test, answer: Answer, status: number, code: string, message = code): void {
  t.same([answer.status, answer.text === '' ? code : answer.json.code], [status, code], message)
}

/** The status and the code of the response to a head whose body is never sent. */
export async function answerToHead (
  client: Client, method: string, path: string, headers: Record<string, string>
): Promise<[status: number, code: string]> {
  const request = httpRequest({ host: '127.0.0.1', port: client.port, method, path, headers, agent: false })
  request.on('error', () => {})
  request.flushHeaders()
  const [response] = await once(request, 'response')
  const text = Buffer.concat(await response.toArray()).toString()
  request.destroy()
  return [response.statusCode, JSON.parse(text).code]
}
