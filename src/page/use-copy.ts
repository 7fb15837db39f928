import { useState } from 'preact/hooks'

interface Copy {
  /** Resolves to whether the browser allowed it. Without TLS it does not, except on the same machine. */
  readonly copy: () => Promise<boolean>
  /** Undefined before the first attempt with this text. */
  readonly isCopied: boolean | undefined
}

/** Copies a text to the clipboard. */
export function useCopy (text: string): Copy {
  const [copied, setCopied] = useState<{ text: string, isDone: boolean }>()
  async function copy (): Promise<boolean> {
    const isDone = await write(text)
    setCopied({ text, isDone })
    return isDone
  }
  return { copy, isCopied: copied?.text === text ? copied.isDone : undefined }
}

async function write (text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return false
  }
}
