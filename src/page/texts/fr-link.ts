/* eslint no-irregular-whitespace: ['error', { skipTemplates: true }] -- French has a narrow space before : ; ! ? */
import type { LinkTexts } from './en-link.ts'
import { frame } from './fr-frame.ts'
import type { Tools } from './tools.ts'

/** The texts of the page of a link, in French. */
export const texts = (tools: Tools<'fr'>): LinkTexts => {
  const { visible, number, plural } = tools
  return {
    ...frame(tools),
    dead: 'Ce lien n’existe pas ou n’est plus valable.',
    deadHint: 'La personne qui l’a envoyé peut en donner un autre.',
    sharedBy: (owner: string) => `Partagé par ${visible(owner)}`,
    requestedBy: (owner: string) => `Demandé par ${visible(owner)}`,
    until: (time: string) => `Jusqu’au ${time}`,
    folder: 'Dossier',
    download: 'Télécharger',
    downloadAll: 'Tout télécharger en zip',
    downloadOf: (name: string) => `Télécharger ${visible(name)}`,
    downloadFailed: (name: string) => `Échec du téléchargement : ${visible(name)}.`,
    gone: 'Ce n’est plus là.',
    preview: 'Aperçu',
    previous: 'Fichier précédent',
    next: 'Fichier suivant',
    cut: (shown: string, whole: string) => `Le début : ${shown} sur ${whole}. Télécharger le fichier pour tout voir.`,
    brokenPreview: 'Le navigateur ne peut pas afficher ce fichier.',
    path: 'Chemin du dossier',
    columns: { name: 'Nom', size: 'Taille', changed: 'Modifié', actions: 'Actions' },
    emptyFolder: 'Ce dossier est vide',
    missingFolder: 'Il n’y a pas de dossier de ce nom',
    missingFolderHint: 'Il a peut-être été renommé, déplacé ou supprimé.',
    toTop: 'Afficher tout ce qui est partagé',
    password: {
      title: 'Ce lien demande un mot de passe',
      hint: 'La personne qui a envoyé le lien le connaît.',
      label: 'Mot de passe',
      submit: 'Ouvrir le lien',
      wrong: 'Ce mot de passe est incorrect.',
      tooMany: 'Trop de mots de passe incorrects.'
    },
    request: {
      title: 'Envoyer des fichiers à',
      hint: 'Glisser des fichiers ici, les coller ou les choisir. Seule la personne à qui appartient le lien ' +
        'voit ce qui est envoyé.',
      choose: 'Choisir des fichiers',
      dropHere: 'Déposer ici pour envoyer',
      left: (files: number, bytes: string) => `${plural(files, {
        one: 'Il reste de la place pour # fichier',
        many: 'Il reste de la place pour # de fichiers',
        other: 'Il reste de la place pour # fichiers'
      })} et ${bytes}`,
      noRoom: 'Il n’y a pas de place pour ce fichier.',
      ownerFull: 'La personne à qui appartient le lien n’a plus de place pour ce fichier.',
      full: 'Ce lien n’accepte plus de fichiers.',
      foldersLeftOut: 'Les dossiers ne peuvent pas être envoyés. Choisir les fichiers qu’ils contiennent.',
      list: 'Fichiers choisis',
      summary: (sent: number, all: number) => `${number(sent)} sur ${plural(all, {
        one: '# fichier envoyé', many: '# de fichiers envoyés', other: '# fichiers envoyés'
      })}`,
      failed: (count: number) => plural(count, { one: '# échec', many: '# d’échecs', other: '# échecs' }),
      waiting: 'En attente',
      sent: (size: string) => `Envoyé, ${size}`,
      running: (done: string, all: string) => `${done} sur ${all}`,
      progressOf: (name: string) => `Progression de ${visible(name)}`,
      finishing: 'Bientôt fini…',
      speed: (speed: string) => `${speed}/s`,
      timeLeft: (time: string) => `encore ${time}`,
      interrupted: (why: string) => `${why.replace(/[.]$/, '')}. Ce fichier reprendra de lui-même.`,
      cancel: (name: string) => `Annuler ${visible(name)}`,
      dismiss: (name: string) => `Retirer ${visible(name)} de la liste`,
      again: 'Réessayer',
      tryAgain: (name: string) => `Réessayer : ${visible(name)}`,
      unreadable: 'Le fichier n’est plus lisible. Il a été modifié, déplacé ou supprimé : le choisir à nouveau.',
      nameHint: 'Renommer le fichier, puis le choisir à nouveau.'
    },
    viewer: {
      details: 'Détails',
      taken: 'Prise de vue',
      camera: 'Appareil',
      place: 'Lieu',
      cutTable: 'Seules les premières lignes et colonnes sont affichées. Télécharger le fichier pour tout voir.'
    }
  }
}
