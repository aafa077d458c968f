// The interpreter alone, on PTX written by hand: what it computes, and the sentence for each
// mistake that it is there to find.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "decode.hpp"
#include "fault.hpp"
#include "run.hpp"

namespace {

int wrong = 0;

void expect(bool right, std::string const& what) {
  if (right) return;
  ++wrong;
  std::printf("WRONG: %s\n", what.c_str());
}

/// Runs a body over `words` with one parameter, their address, in %rd1.
std::string run(std::string const& body, std::vector<std::uint32_t>& words, std::uint32_t threads,
                std::uint32_t blocks = 1) {
  std::string const text =
      ".version 8.0\n.target sm_75\n.address_size 64\n"
      ".visible .entry k(.param .u64 p) {\n"
      ".reg .pred %p<9>; .reg .b16 %rs<9>; .reg .b32 %r<30>; .reg .f32 %f<9>; .reg .b64 %rd<9>;\n"
      ".reg .f64 %fd<9>; .shared .align 4 .b8 s[64];\n"
      "ld.param.u64 %rd1, [p];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\n"
      "add.s64 %rd3, %rd1, %rd2; // the thread's own word\n" +
      body + "\nret;\n}\n";
  try {
    ptx::entry const e = ptx::decode(ptx::parse(text).entries.at(0), {});
    ptx::memory memory;
    memory.add(words.data(), words.size() * sizeof(words[0]));
    auto* const address = words.data();
    unsigned char parameters[8];
    std::memcpy(parameters, &address, sizeof address);
    ptx::run(e, {blocks}, {threads}, parameters, memory, 100000);
  } catch (ptx::fault const& f) {
    return f.what();
  }
  return "";
}

/// One word in, one word out.
std::uint32_t one(std::string const& body, std::uint32_t in) {
  std::vector<std::uint32_t> words{in};
  std::string const said =
      run("ld.global.u32 %r2, [%rd3];\n" + body + "\nst.global.u32 [%rd3], %r3;", words, 1);
  expect(said.empty(), body + ": " + said);
  return words[0];
}
void computes(std::string const& body, std::uint32_t in, std::uint32_t out) {
  std::uint32_t const found = one(body, in);
  char line[64];
  std::snprintf(line, sizeof line, ": 0x%08x instead of 0x%08x", found, out);
  expect(found == out, body + line);
}
void computes_f(std::string const& instruction, float in, float out) {
  computes("mov.b32 %f2, %r2; " + instruction + " mov.b32 %r3, %f3;",
           std::bit_cast<std::uint32_t>(in), std::bit_cast<std::uint32_t>(out));
}
void says(std::string const& body, std::string const& sentence, std::uint32_t threads = 4) {
  std::vector<std::uint32_t> words(4, 7);
  std::string const said = run(body, words, threads);
  expect(said.find(sentence) != std::string::npos,
         "'" + sentence + "' was expected of " + body + "; it said: " + said);
}

}  // namespace

int main() {
  computes("add.s32 %r3, %r2, -1;", 0, ~0u);
  computes("mul.hi.u32 %r3, %r2, -2;", 0x80000000u, 0x7fffffffu);
  computes("mul.hi.s32 %r3, %r2, 2;", 0x80000000u, ~0u);
  computes("mad.lo.s32 %r3, %r2, %r2, 1;", 0x10001u, 0x20002u);
  computes("shl.b32 %r3, %r2, 32;", 5, 0);
  computes("shr.s32 %r3, %r2, 99;", 0x80000000u, ~0u);
  computes("shr.u32 %r3, %r2, 4;", 0x80000000u, 0x08000000u);
  computes("bfe.u32 %r3, %r2, 4, 8;", 0xabcdefu, 0xdeu);
  computes("bfe.s32 %r3, %r2, 4, 8;", 0xabcdefu, 0xffffffdeu);
  computes("bfi.b32 %r3, 0xff, %r2, 8, 4;", 0, 0xf00u);
  computes("prmt.b32 %r3, %r2, 0, 0x0123;", 0x11223344u, 0x44332211u);
  computes("lop3.b32 %r3, %r2, 0xff00ff00, 0xaaaaaaaa, 0x96;", 0x12345678u,
           0x12345678u ^ 0xff00ff00u ^ 0xaaaaaaaau);
  computes("shf.l.wrap.b32 %r3, %r2, %r2, 8;", 0x12345678u, 0x34567812u);
  computes("setp.lt.s32 %p1, %r2, 0; selp.b32 %r3, 1, 2, %p1;", 0x80000000u, 1);
  computes("setp.lt.u32 %p1, %r2, 0; selp.b32 %r3, 1, 2, %p1;", 0x80000000u, 2);
  computes("cvt.u64.u32 %rd4, %r2; mov.b64 {%r4, %r3}, %rd4;", 9, 0);
  computes("mov.b32 {%rs1, %rs2}, %r2; mov.b32 %r3, {%rs2, %rs1};", 0x12345678u, 0x56781234u);
  computes("cvt.s32.s16 %r3, %r2;", 0x18000u, 0xffff8000u);
  computes("popc.b32 %r3, %r2;", 0xf0f0u, 8);
  computes(
      "mov.u32 %r3, 0; $again: add.u32 %r3, %r3, %r2; sub.u32 %r2, %r2, 1; "
      "setp.ne.u32 %p1, %r2, 0; @%p1 bra $again;",
      10, 55);
  computes_f("fma.rn.f32 %f3, %f2, %f2, 0fBF800000;", 1 + 0x1p-23f,
             std::fma(1 + 0x1p-23f, 1 + 0x1p-23f, -1.0f));
  computes_f("sqrt.rn.f32 %f3, %f2;", 2, std::sqrt(2.0f));
  computes_f("min.f32 %f3, %f2, 0f00000000;", -0.0f, -0.0f);
  computes_f("max.f32 %f3, %f2, 0f3F800000;", __builtin_nanf(""), 1);
  computes_f("sub.f32 %f3, %f2, %f2;", __builtin_inff(), std::bit_cast<float>(0x7fffffffu));
  computes("mov.b32 %f2, %r2; cvt.rzi.u32.f32 %r3, %f2;", std::bit_cast<std::uint32_t>(-3.5f), 0);
  computes(
      "mov.b32 %f2, %r2; cvt.f64.f32 %fd1, %f2; mul.rn.f64 %fd2, %fd1, 0d3FF8000000000000; "
      "cvt.rn.f32.f64 %f3, %fd2; mov.b32 %r3, %f3;",
      std::bit_cast<std::uint32_t>(3.0f), std::bit_cast<std::uint32_t>(4.5f));

  // A block that adds up its own numbers, by shared memory and barriers.
  std::string const shared = "mov.u32 %r5, s; shl.b32 %r6, %r1, 2; add.u32 %r5, %r5, %r6;\n";
  std::vector<std::uint32_t> words{1, 2, 3, 4};
  std::string const turned =
      shared +
      "ld.global.u32 %r2, [%rd3]; st.shared.u32 [%r5], %r2; bar.sync 0;\n"
      "xor.b32 %r7, %r6, 12; ld.shared.u32 %r8, [%r7]; st.global.u32 [%rd3], %r8;";
  std::string const said = run(turned, words, 4);
  expect(said.empty() && words == std::vector<std::uint32_t>{4, 3, 2, 1},
         "a block that turns its words: " + said);
  words = {0, 0, 0, 0};
  std::string const counted =
      run("mov.u32 %r5, s; setp.eq.u32 %p1, %r1, 0; @%p1 st.shared.u32 [%r5], 0; bar.sync 0;\n"
          "atom.shared.add.u32 %r7, [%r5], %r1; bar.sync 0;\n"
          "ld.shared.u32 %r8, [s]; st.global.u32 [%rd3], %r8;",
          words, 4);
  expect(counted.empty() && words == std::vector<std::uint32_t>{6, 6, 6, 6},
         "a block that counts: " + counted);

  says("st.global.u32 [%rd3], %r1;", "thread 4 of block 0: it stores 4 bytes at", 5);
  says("st.global.u32 [%rd3], %r1;",
       "0 bytes behind the end of a buffer of 16 bytes; 'st.global.u32", 5);
  says("ld.global.u32 %r2, [%rd1+-4];", "4 bytes before the start of a buffer of 16 bytes");
  says("ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd3];", "which is no multiple of 16");
  says("ld.global.v2.u32 {%r2, %r3}, [%rd1+12];", "which is no multiple of 8");
  says("ld.param.u64 %rd4, [p+8];", "of the parameters, of which there are 8");
  says(shared + "ld.shared.u32 %r2, [%r5];", "that no thread has written");
  says(shared + "st.shared.u32 [%r5+62], %r1;", "which is no multiple of 4");
  says(shared + "st.shared.u32 [%r5+56], %r1;", "of shared memory, of which there are 64");
  says(shared +
           "st.shared.u32 [%r5], %r1; bar.sync 0; st.shared.u32 [%r5], %r6;\n"
           "xor.b32 %r7, %r6, 12; ld.shared.u32 %r8, [%r7];",
       "has touched with no barrier between");
  says("mov.u32 %r5, s; st.shared.u32 [%r5], %r1;", "thread 0 has touched with no barrier between");
  says("setp.eq.u32 %p1, %r1, 0; @%p1 ret; bar.sync 0;", "that have left");
  says("$again: bra $again;", "has not ended");
  says("sin.approx.f32 %f1, %f2;", "the interpreter has no 'sin.approx.f32'");
  says("add.ftz.f32 %f1, %f2, %f2;", "the interpreter has no 'add.ftz.f32'");
  says("mov.u32 %r2, %clock;", "'%clock' is no register");
  says("mov.u32 %r2, %r30;", "'%r30' is no register");
  says(".local .align 4 .b8 l[16];", "16 bytes of .local memory");
  says("bra $nowhere;", "there is no such label");
  says("div.u32 %r2, %r1, 0;", "a division by 0");

  std::printf(wrong == 0 ? "the interpreter computes and finds what it should\n" : "%d wrong\n",
              wrong);
  return wrong == 0 ? 0 : 1;
}
