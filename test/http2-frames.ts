/** Frames of HTTP/2 (RFC 9113 section 4), for clients that do what no client should. */

/** What a client sends first (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** The only one of the settings that matter here: how much of each stream's body may be sent (SETTINGS_INITIAL_WINDOW_SIZE). */
const INITIAL_WINDOW_SIZE = 4

const [END_STREAM, ACK, END_HEADERS] = [0x1, 0x1, 0x4]

function frame (type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settingsFrame (initialWindowSize: number): Buffer {
  const setting = Buffer.alloc(6)
  setting.writeUInt16BE(INITIAL_WINDOW_SIZE)
  setting.writeUInt32BE(initialWindowSize, 2)
  return frame(4, 0, 0, setting)
}

/** Takes the server's settings; before it, the server counts by the defaults. */
export const SETTINGS_ACK = frame(4, ACK, 0)

/** A request head, with every field as it is (RFC 7541 section 6.2.2). A name or a value has less than 127 bytes. */
export function headersFrame (stream: number, fields: Record<string, string>, { isWhole }: { isWhole: boolean }): Buffer {
  const block = Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
  return frame(1, END_HEADERS | (isWhole ? END_STREAM : 0), stream, Buffer.concat(block))
}

export const dataFrame = (stream: number, bytes: Uint8Array): Buffer => frame(0, 0, stream, bytes)

/** A reset of a stream; of stream 0 it is a connection error (RFC 9113 section 6.4). */
export const resetFrame = (stream: number): Buffer => frame(3, 0, stream, Buffer.from([0, 0, 0, 8]))
