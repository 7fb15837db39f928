import { realpath } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { UsageError } from './usage-error.ts'

/** The one folder that a command is given, apart from the data folder. @throws {UsageError} also where one of them is inside the other. */
export async function folderArgument (command: string, [folder, ...rest]: string[], dataDir: string): Promise<string> {
  if (folder === undefined || rest.length > 0) throw new UsageError(`${command} takes one folder; see magicstore ${command} --help`)
  const [given, data] = await Promise.all([realPath(resolve(folder)), realPath(dataDir)])
  if (isWithin(given, data) || isWithin(data, given)) throw new UsageError(`${resolve(folder)} and DATA_DIR lie one inside the other`)
  return resolve(folder)
}

/** Where a path leads, whether anything is there yet or not. */
async function realPath (path: string): Promise<string> {
  return realpath(path).catch(async () => join(await realPath(dirname(path)), basename(path)))
}

function isWithin (inner: string, outer: string): boolean {
  const path = relative(outer, inner)
  return path !== '..' && !path.startsWith('../')
}
