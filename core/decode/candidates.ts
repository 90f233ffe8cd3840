import { unusable } from './usable-output.ts';

/**
 * Boxes that a detector's head found in one image before the best ones are picked, as flat arrays that grow: a head
 * looks at thousands of anchors an image, and an object for each would cost more than the arithmetic.
 */
export class Candidates {
  /** Left, top, right, bottom in input pixels, four for each candidate. */
  boxes = new Float32Array(4 * 64);
  scores = new Float32Array(64);
  classes = new Int32Array(64);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** @throws SluiceError `engine-failed` where the score or a coordinate is not a number. */
  add(left: number, top: number, right: number, bottom: number, score: number, classIndex: number): void {
    // One sum tells of all: NaN and infinities do not cancel out to a number.
    if (!Number.isFinite(left + top + right + bottom + score))
      throw unusable(`a box is [${left}, ${top}, ${right}, ${bottom}] with score ${score}`);
    if (this.length === this.scores.length) this.#grow();
    const i = this.length++;
    this.boxes[4 * i] = left;
    this.boxes[4 * i + 1] = top;
    this.boxes[4 * i + 2] = right;
    this.boxes[4 * i + 3] = bottom;
    this.scores[i] = score;
    this.classes[i] = classIndex;
  }

  #grow(): void {
    const grown = <T extends Float32Array | Int32Array>(array: T, into: T): T => {
      into.set(array);
      return into;
    };
    this.boxes = grown(this.boxes, new Float32Array(this.boxes.length * 2));
    this.scores = grown(this.scores, new Float32Array(this.scores.length * 2));
    this.classes = grown(this.classes, new Int32Array(this.classes.length * 2));
  }
}
