import { signal } from '@preact/signals'
import { folder } from './folder.ts'
import { readText, writeText } from './stored-texts.ts'

/** The storage key of {@link areOn}. It contains the path, because several servers can share an origin. */
const KEY = `shortcuts ${folder.pathname}`

const OFF = 'off'

/** Whether `/` and `?` are shortcuts. Speech input can type them by mistake (WCAG 2.2, 2.1.4), so they can be off. */
export const areOn = signal(readText(KEY) !== OFF)

export function useKeys (isOn: boolean): void {
  areOn.value = isOn
  writeText(KEY, isOn ? undefined : OFF)
}
