// What pages do beyond plain HTML. Every page works without it, but for what is live.
import {localTimes} from './times.js';
import {copyButtons} from './copy.js';
import {live} from './live.js';

localTimes(document);
copyButtons(document);
for (const menu of document.querySelectorAll('details.menu')) {
  menu.addEventListener('keydown', event => {
    if (event.key !== 'Escape') return;
    menu.open = false;
    menu.querySelector('summary').focus();
  });
}
// A note is told once, not at each loading.
const here = new URL(location.href);
if (here.searchParams.has('done')) {
  here.searchParams.delete('done');
  history.replaceState(null, '', here);
}
const place = document.querySelector('[data-live]');
if (place) live(place);
