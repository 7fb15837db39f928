import { channel } from 'node:diagnostics_channel'
import { readdirSync, readFileSync } from 'node:fs'

// Chromium's renderers end after it: the system does not add their time to that of the process that started it.

/** The fields of `/proc/PID/stat` from the third one on (proc_pid_stat(5)). Empty if the process has ended. */
function statOf (pid: number | string): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch { return [] }
}

const [PARENT, USER, OF_CHILDREN, END] = [1, 11, 13, 15]
const sum = (ticks: string[]) => ticks.reduce((all, each) => all + Number(each), 0) / 100

/** Seconds of CPU of all that this process has started, ended or not. */
function startedCpu (): number {
  if (process.platform !== 'linux') return 0
  const stats = new Map(readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(pid => [pid, statOf(pid)]))
  const isStarted = (pid: string | undefined): boolean => {
    const parent = pid === undefined ? undefined : stats.get(pid)?.[PARENT]
    return parent === String(process.pid) || (parent !== undefined && isStarted(parent))
  }
  const running = Array.from(stats).filter(([pid]) => isStarted(pid)).map(([, stat]) => sum(stat.slice(USER, END)))
  return running.reduce((all, each) => all + each, sum(statOf(process.pid).slice(OF_CHILDREN, END)))
}

/** Closes a browser, and tells `cpu.js` the seconds of CPU that are then lost. */
export async function closeCounted (close: () => Promise<unknown>): Promise<void> {
  const before = startedCpu()
  await close()
  channel('cpu').publish(Math.max(0, before - startedCpu()))
}
