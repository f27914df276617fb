import type { Operand } from '../../isa/semantics.ts';
import { Builder } from './builder.ts';

/** A builder without the guest's registers and control flow: for the runtime, KVM's vector code and routines. */
export abstract class RegisterlessBuilder extends Builder {
  protected override read(): never {
    throw new Error('there are no registers here');
  }
  protected override remainingBudget(): never {
    return this.read();
  }
  protected override write(): void {
    this.read();
  }
  protected override fault(): void {
    this.read();
  }
  override pc(): never {
    return this.read();
  }
  override nextPc(): never {
    return this.read();
  }
  override branchRelative(): void {
    this.read();
  }
  override branchIndirect(): void {
    this.read();
  }
  override interrupt(): void {
    this.read();
  }
  override contextSynchronize(): void {
    this.read();
  }
  override repeat(_count: Operand, _limit: number, _body: (i: Operand) => void): void {
    this.read();
  }
}
