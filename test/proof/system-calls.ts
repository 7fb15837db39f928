/** A system call as reported by strace. */
export interface SystemCall {
  readonly name: string
  /** The quoted arguments: paths, or written bytes. */
  readonly strings: readonly Buffer[]
  /** The other arguments as text; each string is replaced by `""`. */
  readonly args: readonly string[]
  /** Undefined until the call returns; it remains so if the process dies in the call. */
  result: number | undefined
}

/** The begin or end of a call; moments are in the order of strace's output. */
export interface Moment { readonly call: SystemCall, readonly isEnd: boolean }

/** Calls that change files, folders or their durability, and those needed to follow descriptors. */
const FOLLOWED = ['openat', 'close', 'write', 'writev', 'pwrite64', 'ftruncate', 'fsync', 'fdatasync', 'link', 'rename', 'unlink', 'mkdir', 'rmdir']

/**
 * Other calls that change files. The server does not use them; if one occurs, the recording fails instead of missing a
 * change.
 */
const UNKNOWN = [
  'open', 'creat', 'pwritev', 'pwritev2', 'truncate', 'fallocate', 'sync_file_range',
  'renameat', 'renameat2', 'linkat', 'symlink', 'symlinkat', 'unlinkat', 'mkdirat',
  'dup', 'dup2', 'dup3', 'copy_file_range', 'sendfile', 'io_uring_enter', 'sync', 'syncfs', 'msync'
]

/** Duration of a sync of bytes on a slow disk: long enough for other operations to run meanwhile. */
const DATA_SYNC_MICROSECONDS = 15_000

/** Duration of a sync of a folder; the first start makes many. */
const SYNC_MICROSECONDS = 5_000

/** Arguments of strace for a recording that `readMoments` reads: all bytes, in hexadecimal, without a length limit. */
export function straceArguments (file: string): string[] {
  return [
    '-f', '-qq', '--seccomp-bpf', '-o', file, '-xx', '-s', String(2 ** 26),
    '-e', `trace=${[...FOLLOWED, ...UNKNOWN].join(',')}`,
    '-e', 'signal=none',
    // The delay is before the call: changes during the delay are not covered by the sync, as on a slow disk.
    '-e', `inject=fdatasync:delay_enter=${DATA_SYNC_MICROSECONDS}`,
    '-e', `inject=fsync:delay_enter=${SYNC_MICROSECONDS}`
  ]
}

/** Parses strace's output. Calls of several threads overlap: a call that did not return at once has two lines. */
export async function readMoments (lines: AsyncIterable<string>): Promise<Moment[]> {
  const moments: Moment[] = []
  const unfinished = new Map<string, SystemCall>()
  for await (const line of lines) {
    const thread = line.slice(0, line.indexOf(' '))
    const text = line.slice(thread.length).trimStart()
    // A thread that was killed before strace saw what it does.
    if (text.startsWith('<... ??? resumed>') && !unfinished.has(thread)) continue
    if (text.startsWith('<...')) {
      const call = unfinished.get(thread)
      if (call === undefined) throw new Error(`a call ends that did not begin: ${line.slice(0, 200)}`)
      unfinished.delete(thread)
      call.result = resultOf(text)
      moments.push({ call, isEnd: true })
    } else if (/^\w+\(/.test(text)) {
      const call = readCall(text)
      moments.push({ call, isEnd: false })
      if (call.result === undefined) unfinished.set(thread, call)
      else moments.push({ call, isEnd: true })
    }
  }
  const surprising = moments.find(({ call: { name, result = -1 } }) => UNKNOWN.includes(name) && result >= 0)
  if (surprising !== undefined) throw new Error(`the model of the disk does not know ${surprising.call.name}`)
  return moments
}

function readCall (text: string): SystemCall {
  const open = text.indexOf('(')
  const isUnfinished = text.endsWith('<unfinished ...>')
  const end = isUnfinished ? text.lastIndexOf('<unfinished') : text.lastIndexOf(') ')
  const strings: Buffer[] = []
  const rest = text.slice(open + 1, end).replace(/"([^"]*)"(\.\.\.)?/g, (_all, hex: string, isCut: string | undefined) => {
    if (isCut !== undefined) throw new Error('strace shortened a string')
    strings.push(Buffer.from(hex.replaceAll('\\x', ''), 'hex'))
    return '""'
  })
  return { name: text.slice(0, open), strings, args: rest.trimEnd().split(', '), result: isUnfinished ? undefined : resultOf(text) }
}

/** Undefined if the process died in the call, which strace writes as `?`. */
function resultOf (text: string): number | undefined {
  const result = /\) += (-?\d+|\?)[^"]*$/.exec(text)?.[1]
  if (result === undefined) throw new Error(`a call without a result: ${text.slice(0, 200)}`)
  return result === '?' ? undefined : Number(result)
}

/** A readable form of the call, with paths relative to `root`. */
export function describeCall ({ name, strings, args, result }: SystemCall, root: string): string {
  const isPath = (string: Buffer) => string.subarray(0, root.length).toString() === root
  const shown = strings.map(string => isPath(string) ? string.subarray(root.length + 1).toString() : `${string.length} bytes`)
  return `${name}(${args.map(arg => arg.replace('""', () => shown.shift() ?? '')).join(', ')}) = ${result}`
}
