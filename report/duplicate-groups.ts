import { formatCount, formatCountOf } from './format.ts';
import { type Html, html } from './html.ts';
import { fileLink, keyLine, moreLine, thumbnailFrame } from './parts.ts';
import type { DuplicateGroup, ReportData } from './report-data.ts';

/** Groups of images that are one picture, side by side, the kept one first. */
export function renderDuplicateGroups(data: ReportData): Html | undefined {
  const { groups, moreGroups } = data.duplicates;
  if (groups.length === 0) return undefined;
  return html`
<section id="duplicates" aria-labelledby="duplicates-title">
  <h2 id="duplicates-title">Duplicates <span class="count">${formatCountOf(groups.length + moreGroups, 'group')}</span></h2>
  <p class="note">Exact: the same pixels, whatever the file. Near: the same picture to the eye, such as another size or quality. The kept image is the one the others are measured against; nothing was deleted.</p>
  <div class="groups">${groups.map(renderGroup)}
  </div>
  ${moreLine(moreGroups, 'group', fileLink(data.outputs.audit))}
</section>`;
}

function renderGroup(group: DuplicateGroup): Html {
  const kept = group.members.filter((member) => member.key === group.keptKey);
  const others = group.members.filter((member) => member.key !== group.keptKey);
  const members = [...kept, ...others].map(
    (member) => html`
      <li class="${member.key === group.keptKey ? 'card kept' : 'card'}">
        ${thumbnailFrame(member.key, member.thumbnail)}
        <div class="body"><p class="name">${keyLine(member.key)}</p>${member.key === group.keptKey && html`<p class="meta"><span class="chip kept">Kept</span></p>`}</div>
      </li>`,
  );
  const count = group.members.length + group.moreMembers;
  return html`
    <article class="twins">
      <h3>${group.kind === 'exact' ? 'Exact copies' : 'Near copies'} <span class="count">${formatCount(count)}</span></h3>
      ${kept.length === 0 && html`<p class="also">Copies of ${keyLine(group.keptKey)}</p>`}
      <ul class="grid">${members}
      </ul>
      ${group.moreMembers > 0 && html`<p class="more">and ${formatCount(group.moreMembers)} more</p>`}
    </article>`;
}
