# docs/planner.png and docs/planner.gif of what `planner --pictures FOLDER` wrote:
#
#   gnuplot -e "folder='FOLDER'; to='docs'" examples/planner/draw.gp
set style fill solid 1 noborder
set style circle clip
unset key
unset border
unset tics
set size ratio -1
file(name) = folder . "/" . name . ".txt"

set terminal pngcairo size 900,620 font "sans,10"
set output to . "/planner.png"
set multiplot layout 2,3 margins 0.01,0.99,0.01,0.99 spacing 0.01
set xrange [-0.5:10.5]
set yrange [-0.5:10.5]
set object 1 rectangle from graph 0,0 to graph 1,1 behind fillcolor "#f4f4f4" fillstyle solid noborder
do for [k = 0:5] {
  plot file("scene-discs") index k using 1:2:3 with circles linecolor "#8a9aa8", \
       file("scene-plans") index k with lines linewidth 1 linecolor "#7fb0e0", \
       file("scene-best") index k with linespoints linewidth 2.5 pointtype 7 pointsize 0.4 linecolor "#c03020", \
       file("scene-ends") index k with points pointtype 7 pointsize 1.4 linecolor "#202020"
}
unset multiplot
unset output

stats file("walk-robot") nooutput
set terminal gif animate delay 8 loop 0 optimize size 560,290
set output to . "/planner.gif"
set lmargin 0
set rmargin 0
set tmargin 0
set bmargin 0
set xrange [0:18]
set yrange [-0.2:9.2]
do for [k = 0:STATS_records - 1] {
  plot file("walk-discs") index k using 1:2:3 with circles linecolor "#8a9aa8", \
       file("walk-plans") index k with lines linewidth 1 linecolor "#7fb0e0", \
       file("walk-best") index k with lines linewidth 2 linecolor "#c03020", \
       file("walk-robot") index k with points pointtype 7 pointsize 1.6 linecolor "#202020", \
       "+" using (17):(4.5) every ::0::0 with points pointtype 6 pointsize 2 linecolor "#202020"
}
unset output
