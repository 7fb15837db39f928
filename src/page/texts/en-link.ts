import { frame } from './en-frame.ts'
import type { Tools } from './tools.ts'

/** The texts of the page of a link. */
export const texts = (tools: Tools<'en'>) => {
  const { visible, number, plural } = tools
  return {
    ...frame(tools),
    dead: 'This link does not exist or has ended.',
    deadHint: 'Ask the person who sent it to you for another one.',
    sharedBy: (owner: string) => `Shared by ${visible(owner)}`,
    requestedBy: (owner: string) => `Requested by ${visible(owner)}`,
    until: (time: string) => `Until ${time}`,
    folder: 'Folder',
    download: 'Download',
    downloadAll: 'Download all as a zip',
    downloadOf: (name: string) => `Download ${visible(name)}`,
    downloadFailed: (name: string) => `Download failed: ${visible(name)}.`,
    gone: 'It is no longer there.',
    preview: 'Preview',
    previous: 'Previous file',
    next: 'Next file',
    cut: (shown: string, whole: string) => `The first ${shown} of ${whole}. Download the file to see all of it.`,
    brokenPreview: 'The browser can’t show this file.',
    path: 'Path of the folder',
    columns: { name: 'Name', size: 'Size', changed: 'Changed', actions: 'Actions' },
    emptyFolder: 'This folder is empty',
    missingFolder: 'There is no folder of this name',
    missingFolderHint: 'It may have been renamed, moved or deleted.',
    toTop: 'Show all that is shared',
    password: {
      title: 'This link needs a password',
      hint: 'Ask the person who sent you the link.',
      label: 'Password',
      submit: 'Open the link',
      wrong: 'This password is wrong.',
      tooMany: 'Too many wrong passwords.'
    },
    request: {
      title: 'Send files to',
      hint: 'Drop files here, paste them, or choose them. Only the owner of the link can see what you send.',
      choose: 'Choose files',
      dropHere: 'Drop files to send them',
      left: (files: number, bytes: string) =>
        `${plural(files, { one: 'Room for # more file', other: 'Room for # more files' })} and ${bytes}`,
      noRoom: 'There is no room for this file.',
      ownerFull: 'The owner of the link has no space for this file.',
      full: 'This link accepts no more files.',
      foldersLeftOut: 'Folders can’t be sent. Choose the files in them.',
      list: 'Your files',
      summary: (sent: number, all: number) =>
        `${number(sent)} of ${plural(all, { one: '# file sent', other: '# files sent' })}`,
      failed: (count: number) => `${number(count)} failed`,
      waiting: 'Waiting',
      sent: (size: string) => `Sent, ${size}`,
      running: (done: string, all: string) => `${done} of ${all}`,
      progressOf: (name: string) => `Progress of ${visible(name)}`,
      finishing: 'Finishing…',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `${time} left`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. This file continues by itself.`,
      cancel: (name: string) => `Cancel ${visible(name)}`,
      dismiss: (name: string) => `Remove ${visible(name)} from the list`,
      again: 'Try again',
      tryAgain: (name: string) => `Try again: ${visible(name)}`,
      unreadable: 'The file can no longer be read. It was changed, moved or deleted: choose it again.',
      nameHint: 'Rename the file, then choose it again.'
    },
    viewer: {
      details: 'Details',
      taken: 'Taken',
      camera: 'Camera',
      place: 'Place',
      cutTable: 'Only the first rows and columns. Download the file to see all of it.'
    }
  }
}

export type LinkTexts = ReturnType<typeof texts>
