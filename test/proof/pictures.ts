import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { openTab } from './browser.ts'

/** Pictures that a browser makes: PNG of one colour each, and a video. */
export interface Pictures {
  picture (color: string, size?: number): Promise<Buffer>
  video (color: string): Promise<Buffer>
}

export async function openPictures (t: Test): Promise<Pictures> {
  const { page } = await openTab(t)
  return {
    picture: async (color, size = 64) => decoded(await drawn(page, color, size)),
    video: async color => decoded(await recorded(page, color))
  }
}

function drawn (page: Page, color: string, size: number): Promise<string> {
  return page.evaluate(([color, size]) => {
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = size
    const context = canvas.getContext('2d')!
    context.fillStyle = color
    context.fillRect(0, 0, size, size)
    return canvas.toDataURL('image/png')
  }, [color, size] as const)
}

/** WebM of some frames. */
function recorded (page: Page, color: string): Promise<string> {
  return page.evaluate(async color => {
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 64
    const context = canvas.getContext('2d')!
    const paint = () => {
      context.fillStyle = color
      context.fillRect(0, 0, 64, 64)
      return new Promise(requestAnimationFrame)
    }
    // Before the recording, whose first frame would else be black on a busy machine.
    await paint()
    const recorder = new MediaRecorder(canvas.captureStream(30), { mimeType: 'video/webm' })
    const chunks: Blob[] = []
    recorder.ondataavailable = ({ data }) => { chunks.push(data) }
    const stopped = new Promise(resolve => { recorder.onstop = resolve })
    recorder.start()
    for (let frame = 0; frame < 20; frame++) await paint()
    recorder.stop()
    await stopped
    const reader = new FileReader()
    const read = new Promise(resolve => { reader.onload = resolve })
    reader.readAsDataURL(new Blob(chunks))
    await read
    return String(reader.result)
  }, color)
}

function decoded (address: string): Buffer {
  return Buffer.from(address.slice(address.indexOf(',') + 1), 'base64')
}
