import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** What Node gives to a process that is started with a flag, and without it to a context that is made after the flag is set. */
export function garbageCollector (): NodeJS.GCFunction {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as NodeJS.GCFunction
  setFlagsFromString('--no-expose-gc')
  return collect
}
