/// Puts together an eBPF program from named registers and labels. Only what the tracker needs.
struct BPFAssembler {
  enum Register: UInt8 {
    /// Result of helpers.
    case r0 = 0
    /// Arguments of helpers, lost by a call.
    case r1, r2, r3, r4, r5
    /// Kept across calls.
    case r6, r7, r8, r9
    /// Top of the stack.
    case frame
  }

  enum Width: UInt8 {
    case u32 = 0x00
    case u8 = 0x10
    case u64 = 0x18
  }

  enum Operation: UInt8 {
    case add = 0x00
    case subtract = 0x10
    case and = 0x50
    case shiftLeft = 0x60
    case shiftRight = 0x70
    /// Unsigned.
    case modulo = 0x90
    case move = 0xb0
  }

  enum Condition: UInt8 {
    case always = 0x00
    case equal = 0x10
    case greater = 0x20
    case greaterOrEqual = 0x30
    case notEqual = 0x50
  }

  struct Label: Hashable {
    fileprivate let number: Int
  }

  /// As the kernel takes it: `struct bpf_insn`.
  struct Instruction: Hashable {
    var code: UInt8
    /// Destination in the low four bits, source in the high ones.
    var registers: UInt8
    var offset: Int16 = 0
    var immediate: Int32 = 0
  }

  private(set) var instructions: [Instruction] = []
  private var places: [Label: Int] = [:]
  private var jumps: [(at: Int, to: Label)] = []
  private var labels = 0

  static let mapLookup: Int32 = 1
  /// r0 = 32 random bits.
  static let random: Int32 = 7

  mutating func label() -> Label {
    labels += 1
    return Label(number: labels)
  }

  /// `label` is here.
  mutating func place(_ label: Label) {
    precondition(places[label] == nil, "a label has one place")
    places[label] = instructions.count
  }

  mutating func compute(_ operation: Operation, _ target: Register, _ source: Register) {
    emit(0x0f | operation.rawValue, target, source)
  }

  mutating func compute(_ operation: Operation, _ target: Register, _ value: Int32) {
    emit(0x07 | operation.rawValue, target, immediate: value)
  }

  mutating func loadConstant(_ target: Register, _ value: UInt64) {
    emit(0x18, target, immediate: Int32(truncatingIfNeeded: value))
    emit(0, immediate: Int32(truncatingIfNeeded: value >> 32))
  }

  /// The address of the map behind descriptor `map`.
  mutating func loadMap(_ target: Register, _ map: Int32) {
    // Source register 1 marks the constant as a map's descriptor.
    emit(0x18, target, .r1, immediate: map)
    emit(0)
  }

  mutating func load(_ width: Width, _ target: Register, from base: Register, _ offset: Int) {
    emit(0x61 | width.rawValue, target, base, offset: offset)
  }

  mutating func store(_ width: Width, _ source: Register, to base: Register, _ offset: Int) {
    emit(0x63 | width.rawValue, base, source, offset: offset)
  }

  mutating func store(_ width: Width, value: Int32, to base: Register, _ offset: Int) {
    emit(0x62 | width.rawValue, base, offset: offset, immediate: value)
  }

  /// Adds `source` to the 64-bit word at `base + offset`, whole against all other CPUs.
  mutating func addAtomically(_ source: Register, to base: Register, _ offset: Int) {
    emit(0xdb, base, source, offset: offset)
  }

  mutating func jump(to label: Label) { jump(to: label, .always, .r0, 0) }

  mutating func jump(to label: Label, _ condition: Condition, _ left: Register, _ right: Int32) {
    jumps.append((instructions.count, label))
    emit(0x05 | condition.rawValue, left, immediate: right)
  }

  mutating func jump(to label: Label, _ condition: Condition, _ left: Register, _ right: Register) {
    jumps.append((instructions.count, label))
    emit(0x0d | condition.rawValue, left, right)
  }

  mutating func call(_ helper: Int32) { emit(0x85, immediate: helper) }

  mutating func exit() { emit(0x95) }

  /// The program, its jumps resolved.
  consuming func assembled() -> [Instruction] {
    for (at, label) in jumps {
      guard let place = places[label] else { preconditionFailure("a jump leads to a label without a place") }
      precondition(place > at, "the tracker's programs have no loops")
      instructions[at].offset = Int16(place - at - 1)
    }
    return instructions
  }

  private mutating func emit(
    _ code: UInt8, _ target: Register = .r0, _ source: Register = .r0, offset: Int = 0, immediate: Int32 = 0
  ) {
    let registers = target.rawValue | source.rawValue << 4
    instructions.append(
      Instruction(code: code, registers: registers, offset: Int16(offset), immediate: immediate))
  }
}
