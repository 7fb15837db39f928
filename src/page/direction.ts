import { frameTexts } from './frame-texts.ts'

/** Whether the language is written from right to left. */
export const isRightToLeft = frameTexts.direction === 'rtl'

/** The key that points where writing goes: to the next one. */
export const NEXT_KEY = isRightToLeft ? 'ArrowLeft' : 'ArrowRight'
export const PREVIOUS_KEY = isRightToLeft ? 'ArrowRight' : 'ArrowLeft'
