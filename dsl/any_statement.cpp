#include <tweedie/dsl/any_statement.hpp>

namespace tweedie {

any_form form_of(double const* c, int const* ranks, std::size_t n) {
  any_form r(n);
  for (std::size_t i = 0; i < n; ++i) r[i] = {c[i], {ranks[i]}};
  return r;
}

namespace lowering {

range put(ir& p, any_form const& f) {
  int const first = p.terms.size;
  for (any_term const& t : f) p.terms.add({t.c, t.symbol.rank});
  return {first, p.terms.size};
}

namespace {
void fill(ir& p, int at, any_expression const& e) {
  int const parameters = p.parameters.size;
  for (double one : e.parameters) p.parameters.add(one);
  int const first = p.expressions.size;
  for (std::size_t i = 0; i < e.arguments.size(); ++i) p.expressions.add({});
  p.expressions[at] = {put(p, e.form),
                       e.function,
                       e.reduction,
                       {parameters, p.parameters.size},
                       {first, p.expressions.size}};
  if (p.expressions.full) return;
  for (std::size_t i = 0; i < e.arguments.size(); ++i)
    fill(p, first + static_cast<int>(i), e.arguments[i]);
}
}  // namespace

int put_expression(ir& p, any_expression const& e) {
  int const at = p.expressions.add({});
  if (!p.expressions.full) fill(p, at, e);
  return at;
}

void put_all(ir& p, std::vector<any_statement> const& from, statements& to) {
  for (any_statement const& s : from) to.add({s.target.rank, put_expression(p, s.value)});
}

}  // namespace lowering

}  // namespace tweedie
