/** HTTP/2 frames (RFC 9113 section 4), for clients that break the rules. */

/** The connection preface (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Frame types (RFC 9113 section 6). */
const [DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE] = [0, 1, 3, 4, 8]

/** The only setting used here: how much of each body may be sent (SETTINGS_INITIAL_WINDOW_SIZE). */
const INITIAL_WINDOW_SIZE = 4

const [END_STREAM, ACK, END_HEADERS] = [0x1, 0x1, 0x4]

/** The default maximum frame size (SETTINGS_MAX_FRAME_SIZE). */
const MAX_FRAME_BYTES = 16_384

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
  return frame(SETTINGS, 0, 0, setting)
}

/** Acknowledges the server's settings; until then the server applies the defaults. */
export const SETTINGS_ACK = frame(SETTINGS, ACK, 0)

/**
 * A request head, with every field as a literal (RFC 7541 section 6.2.2). Names and values have less than 127 bytes.
 */
export function headersFrame (
  stream: number, fields: Record<string, string>, { isWhole }: { isWhole: boolean }
): Buffer {
  const block = Object.entries(fields).flatMap(([name, value]) =>
    [Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)])
  return frame(HEADERS, END_HEADERS | (isWhole ? END_STREAM : 0), stream, Buffer.concat(block))
}

/** Bytes of a body that continues. */
export function dataFrames (stream: number, bytes: Uint8Array): Buffer {
  const count = Math.ceil(bytes.length / MAX_FRAME_BYTES)
  return Buffer.concat(Array.from({ length: count }, (_, index) =>
    frame(DATA, 0, stream, bytes.subarray(index * MAX_FRAME_BYTES, (index + 1) * MAX_FRAME_BYTES))))
}

/** Resets a stream; on stream 0 it is a connection error (RFC 9113 section 6.4). */
export const resetFrame = (stream: number): Buffer => frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 8]))

/** How much the client may send, parsed from the server's frames. */
export interface Allowed {
  /** Bytes per body; undefined until the server's settings arrive. */
  readonly initialWindow: number | undefined
  /** Later increments, by stream; those of the whole connection under 0. */
  readonly later: Map<number, number>
}

export function readAllowed (bytes: Buffer): Allowed {
  let initialWindow: number | undefined
  const later = new Map<number, number>()
  for (let at = 0; at + 9 <= bytes.length;) {
    const [length, type, stream] = [bytes.readUIntBE(at, 3), bytes[at + 3], bytes.readUInt32BE(at + 5)]
    const payload = bytes.subarray(at + 9, at + 9 + length)
    for (let entry = 0; entry + 6 <= payload.length; entry += 6) {
      if (type === SETTINGS && payload.readUInt16BE(entry) === INITIAL_WINDOW_SIZE) {
        initialWindow = payload.readUInt32BE(entry + 2)
      }
    }
    if (type === WINDOW_UPDATE && payload.length === 4) {
      later.set(stream, (later.get(stream) ?? 0) + payload.readUInt32BE(0))
    }
    at += 9 + length
  }
  return { initialWindow, later }
}
