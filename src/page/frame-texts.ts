import { loadTexts } from './loaded-texts.ts'
import type { FrameTexts } from './texts/en-frame.ts'

/** The texts that both pages have. Nothing is shown before they are there. */
export const frameTexts = await loadTexts<FrameTexts>()
