import { destination, type DestinationStream } from 'pino'

/** One system call for some twenty requests instead of one for each. */
const BUFFER_LENGTH = 4096

/** The longest time that a line is buffered. */
const FLUSH_MILLISECONDS = 100

/** Further lines are dropped while the output can't be written, for example because the disk is full. */
const MAX_BUFFERED_BYTES = 1024 ** 2

/**
 * Control and format characters, except line feeds: text that clients choose must not move the cursor, set colours or
 * reverse the line.
 */
const UNPRINTABLE = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu

/** Where the log goes. */
export interface LogOutput {
  readonly fd: number
  readonly isTTY?: boolean
  write (text: string): unknown
}

interface Log extends DestinationStream {
  /** Writes the buffered lines; call it when the process exits. The logger calls it after a fatal line. */
  flushSync (): void
}

/** Readable lines on a terminal, else JSON. A process that is killed or out of memory loses the last 100 ms. */
export async function openLog (output: LogOutput): Promise<Log> {
  return output.isTTY === true ? terminalLog(output) : bufferedLog(output)
}

function bufferedLog ({ fd }: LogOutput): Log {
  const stream = destination({
    dest: fd,
    sync: true,
    // With 0 it ignores `flush`.
    minLength: BUFFER_LENGTH,
    maxLength: MAX_BUFFERED_BYTES,
    // By default a full pipe, whose reader has stopped, blocks the event loop until it is read.
    retryEAGAIN: () => false
  })
  // A log that can't be written must not stop the server; the lines stay buffered.
  stream.on('error', () => {})
  let timer: NodeJS.Timeout | undefined
  function flush (): void {
    timer = undefined
    stream.flush()
  }
  return {
    write (line) {
      stream.write(line)
      // Not the stream's own periodic flush, which wakes an idle server ten times a second.
      timer ??= setTimeout(flush, FLUSH_MILLISECONDS).unref()
    },
    // Not the stream's own flushSync, which retries for ever when the disk is full or the reader of the pipe has
    // exited.
    flushSync: flush
  }
}

/** Time, level and message, then the other fields as JSON; the stack of an error on lines of its own. */
async function terminalLog (output: LogOutput): Promise<Log> {
  // Loaded only for a terminal, to start faster without one.
  const { prettyFactory } = await import('pino-pretty')
  const format = prettyFactory({
    colorize: false,
    singleLine: true,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'pid,hostname,method,path,status,milliseconds',
    messageFormat: ({ msg, method, path, status, milliseconds }) =>
      msg === 'request' ? `${method} ${path} ${status} ${milliseconds} ms` : String(msg)
  })
  return { write: line => { output.write(printable(format(line))) }, flushSync () {} }
}

function printable (text: string): string {
  return text.replace(UNPRINTABLE, character => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
