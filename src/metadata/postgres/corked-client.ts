import { Socket } from 'node:net'
import pg from 'pg'

/**
 * Sends the queries of one turn of the event loop by one system call: 16 at once, adding a file takes 350 µs of CPU
 * time, and 410 without.
 */
export class CorkedClient extends pg.Client {
  readonly #socket: Socket
  #isCorked = false

  constructor (options?: pg.ClientConfig) {
    const socket = new Socket()
    super({ ...options, stream: () => socket })
    this.#socket = socket
  }

  /** This client, for a query that goes out at the end of the turn. */
  corked (): this {
    if (this.#isCorked) return this
    this.#isCorked = true
    this.#socket.cork()
    setImmediate(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
    return this
  }
}
